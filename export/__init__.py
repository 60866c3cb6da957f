"""The deployment side: from a trained checkpoint to a PyNN network, and the proof that it is one.

Imports neither torch nor a simulator. The usual way is ``lower`` -> ``save_network`` /
``load_network`` -> ``export.software.run`` or ``export.pynn.build`` -> ``export.verify``.
"""

from export.lower import lower
from export.network import Network, Population, Projection, Readout, Source
from export.recording import Recording
from export.storage import load_network, save_network

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
