"""SpiNNaker 2: a network in 8-bit weights and float32, predicted here and written for its tools.

In comes a :class:`Network`; out come integers of +-127 with a scale a neuron, a prediction of what
they do (the backend ``spinnaker2-software``), a NIR graph and a py-spinnaker2 script.
"""

from export.spinnaker2.files import FILES, check_readout, save_target
from export.spinnaker2.graph import nir_graph
from export.spinnaker2.plan import Spinnaker2Error, Spinnaker2Plan, plan_network
from export.spinnaker2.report import budget, describe_budget
from export.spinnaker2.simulation import runner

__all__ = [
    "FILES",
    "Spinnaker2Error",
    "Spinnaker2Plan",
    "budget",
    "check_readout",
    "describe_budget",
    "nir_graph",
    "plan_network",
    "runner",
    "save_target",
]
