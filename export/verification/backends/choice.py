"""Backends chosen by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from export.description.network import Network
from export.lowering.network import margins
from export.samples.recording import Recording
from export.verification.backends.kind import Options, RunBackend, UnknownBackendError
from export.verification.backends.processes import check_processes, shared_out
from export.verification.backends.registry import BACKENDS
from export.verification.backends.spinnaker import SPINNAKER
from export.verification.backends.torch import TORCH, torch_runner
from export.verification.comparison import VerificationError
from export.verification.contract import Runner, verify
from pynn_models.ranks import world
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from export.boards.config import Board
    from snn_ssm.tasks import Samples


def backend_named(name: str) -> RunBackend:
    """The backend of that name; raises :class:`UnknownBackendError` listing the known ones."""
    if name not in BACKENDS:
        raise UnknownBackendError(f"unknown backend {name!r}; there are {', '.join(BACKENDS)}.")
    return BACKENDS[name]


def check_threads(names: Sequence[str]) -> None:
    """Raise :class:`UnknownBackendError` where none of the backends computes in threads."""
    if any("threads" in backend_named(name).uses for name in names):
        return
    threaded = [backend.name for backend in BACKENDS.values() if "threads" in backend.uses]
    raise UnknownBackendError(
        f"--threads is given, and none of the backends {', '.join(names)} computes in threads; "
        f"expected {' or '.join(threaded)} among them. Leave it out, or use --processes."
    )


def runner(name: str, network: Network, options: Options | None = None) -> Runner:
    """A function ``(samples, membranes) -> Recording`` for the backend of that name.

    Raises :class:`UnknownBackendError` for an unknown name, and for options that it lacks.
    """
    backend, chosen = backend_named(name), options or Options()
    check_processes(chosen.processes, name, backend.shared)
    if chosen.processes == 1:
        made = backend.runner(network, chosen)
        return made if backend.ranked else by_the_first(made)
    return shared_out(partial(_in_a_process, name), network, chosen)


def by_the_first(runner: Runner) -> Runner:
    """Of an MPI run one process computes, and tells the others: all have the same recording."""

    def run(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        return world().first(lambda: runner(samples, membranes))

    return run


def _in_a_process(name: str, network: Network, options: Options) -> Runner:
    return backend_named(name).runner(network, options)


def verify_backends(
    names: Sequence[str], network: Network, checkpoint: Path | None, samples: Samples,
    board: Board | None = None, processes: int = 1, threads: int | None = None,
) -> dict[str, Any]:
    """:func:`export.verification.verify` with the backends of these names, and a progress bar.

    Raises :class:`VerificationError` for a single run, :class:`UnknownBackendError` as
    :func:`runners` does and for a checkpoint, a board or threads that nothing reads.
    """
    compared, convolution = runners(
        names, network, checkpoint, board=board, processes=processes, threads=threads
    )
    if board is not None and SPINNAKER.name not in compared:
        raise UnknownBackendError(
            f"--board is given, and none of the backends {', '.join(compared)} runs on it; "
            f"expected {SPINNAKER.name} among them. Add it, or leave --board out."
        )
    if checkpoint is not None and TORCH.name not in compared:
        raise UnknownBackendError(
            f"--checkpoint is given, and none of the backends {', '.join(compared)} reads it; "
            f"expected {TORCH.name} among them. Add it, or leave --checkpoint out."
        )
    if len(compared) + (convolution is not None) < 2:
        raise VerificationError(
            f"only {', '.join(compared)} would run, and nothing would be compared; expected at "
            "least two runs. Name another backend, for example --backends software,nest."
        )
    real = None
    if convolution is not None and checkpoint is not None and network.source.kind.fractions:
        real = by_the_first(torch_runner(checkpoint, network, "convolution", quantised=False))
    known = None if checkpoint is None else margins(load_checkpoint(checkpoint), network)
    with progress_bar(len(samples), desc="verify") as bar:
        return verify(
            network,
            samples.inputs,
            samples.labels,
            compared,
            convolution=convolution,
            margins=known,
            lengths=samples.lengths,
            real=real,
            progress=bar.update,
        )


def runners(
    names: Sequence[str],
    network: Network,
    checkpoint: Path | None,
    calibration: NDArray[Any] | None = None,
    board: Board | None = None,
    processes: int = 1,
    threads: int | None = None,
) -> tuple[dict[str, Runner], Runner | None]:
    """The runners of several backends, in order, and, with torch among them, its convolution.

    Raises :class:`UnknownBackendError` for an unknown name, one that stands twice, torch
    without a checkpoint, or ``threads`` that none of them computes in.
    """
    options = Options(board, calibration, checkpoint, processes, threads or 1)
    if threads is not None:
        check_threads(names)
    found: dict[str, Runner] = {}
    for name in names:
        if name in found:
            raise UnknownBackendError(f"the backend {name!r} stands twice; name each once.")
        found[name] = runner(name, network, options)
    if checkpoint is None or TORCH.name not in found:
        return found, None
    return found, by_the_first(torch_runner(checkpoint, network, "convolution"))
