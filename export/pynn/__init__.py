"""A network as PyNN populations and projections: ``build(sim, network, samples)``.

In come a PyNN backend's module, a network and samples; out come the backend's populations, and a
:class:`export.samples.Recording` after ``sim.run``. :mod:`export.boards` runs the SpiNNaker ones.
"""

from export.pynn.backend import BackendError
from export.pynn.built import Built, build, run, setup_arguments, simulator
from export.pynn.script import ScriptError, write_script

__all__ = [
    "BackendError",
    "Built",
    "ScriptError",
    "build",
    "run",
    "setup_arguments",
    "simulator",
    "write_script",
]
