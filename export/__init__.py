"""The deployment side: from a trained checkpoint to a PyNN network, and the proof that it is one.

Imports neither torch nor a simulator. The usual way is ``lower`` -> ``save_network`` /
``load_network`` -> ``export.software.run`` or ``export.pynn.build`` ->
``export.verification.verify``.
"""

from export.description.network import Network, Population, Projection, Readout, Source
from export.description.storage import load_network, save_network
from export.lowering.network import lower
from export.samples.recording import Recording

__all__ = [
    "Network",
    "Population",
    "Projection",
    "Readout",
    "Recording",
    "Source",
    "load_network",
    "lower",
    "save_network",
]
