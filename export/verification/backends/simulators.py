"""The backends ``nest``, ``brian2`` and ``neuron``: PyNN's simulators, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _simulator(name: str, *uses: str, ranked: bool = False) -> RunBackend:
    def runner(network: Network, options: Options) -> Runner:
        from export.pynn import built

        threads = options.threads if "threads" in uses else 1
        return lambda samples, membranes: built.run(
            name, network, samples, membranes=membranes, threads=threads
        )

    return RunBackend(name, runner, frozenset(uses), ranked=ranked)


NEST = _simulator("nest", "threads", ranked=True)
BRIAN2, NEURON = (_simulator(name) for name in ("brian2", "neuron"))
