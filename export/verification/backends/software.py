"""The backend ``software``: float64, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _runner(network: Network, options: Options) -> Runner:
    from export.software import simulation

    return lambda samples, membranes: simulation.run(network, samples, membranes=membranes)


SOFTWARE = RunBackend("software", _runner)
