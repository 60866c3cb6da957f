"""A process of sPyNNaker's own: what it is started with, and what is said when it fails.

sPyNNaker keeps its state in globals, writes to the current directory and reads the user's home.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from export.boards.config import (
    Board,
    BoardError,
    MissingConfigurationError,
    use_configuration,
    write_configuration,
)
from export.boards.worker import (
    NETWORK,
    REQUEST,
    DoesNotFitError,
    ParameterMismatchError,
    WeightMismatchError,
)
from export.description.network import Network
from export.description.storage import save_network
from export.fixed_point.native import SpinnakerNativeError
from export.fixed_point.stock import SpinnakerStockError
from export.pynn.backend import BackendError
from export.pynn.spinnaker import CoreSizeError, DelayLimitError, SignError
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import FixedPointError
from snn_ssm.files import write_atomic

LOG = "sPyNNaker.log"
_ERRORS: dict[str, type[SnnSsmError]] = {
    kind.__name__: kind
    for kind in (
        BackendError, BoardError, CoreSizeError, DelayLimitError, FixedPointError,
        MissingConfigurationError, SignError, SpinnakerNativeError, SpinnakerStockError,
        DoesNotFitError, ParameterMismatchError, WeightMismatchError,
    )
}


def prepare(network: Network, board: Board, directory: Path) -> dict[str, str]:
    """Write what a worker reads into its directory; the environment to start it in."""
    save_network(network, directory / NETWORK)
    request = {
        "board": f"the {board.address} board (version {board.machine_version})",
        "virtual": board.is_virtual,
        "neurons_per_core": board.neurons_per_core,
    }
    write_atomic(directory / REQUEST, json.dumps(request).encode())
    write_configuration(directory, board)
    environment = dict(os.environ)
    use_configuration(directory, environment)
    here = os.fspath(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(
        [here, *filter(None, [environment.get("PYTHONPATH")])]
    )
    return environment


def told_error(name: str, message: str) -> SnnSsmError:
    """The error that a worker told of, by the name of its type."""
    return _ERRORS.get(name, BoardError)(message)


def no_result(status: int | None, log: Path, remedy: str) -> BoardError:
    """The error of a worker that ended without a word, with the last lines of its log."""
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    return BoardError(
        f"sPyNNaker's process ended with status {status} and no result; it said "
        f"{' / '.join(last) or 'nothing'}. {remedy}"
    )
