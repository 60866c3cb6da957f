"""The backends ``nest``, ``brian2`` and ``neuron``: PyNN's simulators, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _simulator(name: str) -> RunBackend:
    def runner(network: Network, options: Options) -> Runner:
        from export.pynn import built

        return lambda samples, membranes: built.run(name, network, samples, membranes=membranes)

    return RunBackend(name, runner)


NEST, BRIAN2, NEURON = (_simulator(name) for name in ("nest", "brian2", "neuron"))
