"""The backend ``nest``: PyNN on NEST, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _runner(network: Network, options: Options) -> Runner:
    from export.pynn import built

    return lambda samples, membranes: built.run("nest", network, samples, membranes=membranes)


NEST = RunBackend("nest", _runner)
