"""The backend ``spinnaker2-software``: SpiNNaker 2's weights and float32, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _runner(network: Network, options: Options) -> Runner:
    from export.spinnaker2 import simulation

    return simulation.runner(network)


SPINNAKER2_SOFTWARE = RunBackend("spinnaker2-software", _runner, reads_membranes=False)
