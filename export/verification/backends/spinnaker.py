"""The backend ``spinnaker``: PyNN on a board, through sPyNNaker, in a process of its own."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend, UnknownBackendError
from export.verification.contract import Runner


def _runner(network: Network, options: Options) -> Runner:
    from export.boards import execution

    board = options.board
    if board is None:
        raise UnknownBackendError(
            "the backend spinnaker needs a board: use 'snn-ssm run --backend spinnaker --board "
            "ADDRESS', or 'snn-ssm job'."
        )
    return lambda samples, membranes: execution.run(network, samples, board, membranes=membranes)


SPINNAKER = RunBackend("spinnaker", _runner, frozenset({"board"}), reads_membranes=False)
