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
            "the backend spinnaker needs a board: give --board an address or 'emulated' (run, "
            "verify), or use 'snn-ssm job'."
        )
    # Membranes are not read back: where runs differ, only theirs of other backends are shown.
    return lambda samples, membranes: execution.run(network, samples, board)


SPINNAKER = RunBackend(
    "spinnaker", _runner, frozenset({"board"}), reads_membranes=False, shared=False
)
