"""Names of backends -> functions that run a network and return a Recording."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from tqdm import tqdm

from export.boards.config import Board
from export.description.network import Network
from export.lowering.cells import NEGATIVE
from export.lowering.network import margins
from export.samples.recording import Recording
from export.verification.contract import Runner, verify
from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from snn_ssm.tasks import Samples

BACKENDS = ("software", "spinnaker-software", "nest", "spinnaker")


class UnknownBackendError(SnnSsmError):
    """A backend by a name that there is none of."""


def runner(
    name: str,
    network: Network,
    board: Board | None = None,
    calibration: NDArray[Any] | None = None,
) -> Runner:
    """A function ``(samples, membranes) -> Recording`` for a backend that needs no checkpoint.

    ``board``: where the backend spinnaker runs; ``calibration``: samples that spinnaker-software
    plans for, instead of for all inputs.
    """
    if name == "software":
        from export.software import simulation as software

        return lambda samples, membranes: software.run(network, samples, membranes=membranes)
    if name == "spinnaker-software":
        from export.fixed_point import simulation as spinnaker_software

        return spinnaker_software.runner(network, calibration)
    if name == "nest":
        from export.pynn import built as pynn

        return lambda samples, membranes: pynn.run(name, network, samples, membranes=membranes)
    if name == "spinnaker" and board is not None:
        from export.boards import execution as spinnaker

        return lambda samples, membranes: spinnaker.run(network, samples, board)
    if name == "spinnaker":
        raise UnknownBackendError(
            "the backend spinnaker needs a board: use 'snn-ssm run --backend spinnaker --board "
            "ADDRESS', or 'snn-ssm job'."
        )
    raise UnknownBackendError(
        f"unknown backend {name!r}; there are {', '.join(BACKENDS)} (and torch in 'verify')."
    )


def torch_runner(checkpoint: Path, network: Network, method: str = "steps") -> Runner:
    """The trained model itself as a runner; needs torch, which is imported here and not before.

    ``method`` as in ``snn_ssm.model.reference.run_reference``. Of what does not spike it has no
    membranes.
    """
    try:
        from snn_ssm.model.reference import run_reference
    except ImportError as error:
        raise UnknownBackendError(
            f"the backend torch cannot be imported ({error}). "
            "Install it: pip install 'snn-ssm[train]'."
        ) from error
    trained = load_checkpoint(checkpoint)
    names = [p.name for p in network.layers if not p.name.endswith(NEGATIVE)]

    def run(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        reference = run_reference(trained, samples, method=method)
        layers = zip(
            names, reference.spikes, reference.negative, reference.membranes, strict=True
        )
        spikes, traces = {}, {}
        for name, positive, negative, membrane in layers:
            spikes[name], traces[name] = positive, membrane
            if negative is not None:
                spikes[name + NEGATIVE], traces[name + NEGATIVE] = negative, -membrane
        return Recording(
            "torch",
            network.timestep,
            spikes,
            {name: traces[name] for name in membranes if name in traces},
            reference.logits,
        )

    return run


def verify_backends(
    names: Sequence[str], network: Network, checkpoint: Path | None, samples: Samples
) -> dict[str, Any]:
    """:func:`export.verification.verify` with the backends of these names, and a progress bar."""
    compared, convolution = runners(names, network, checkpoint)
    known = None if checkpoint is None else margins(load_checkpoint(checkpoint))
    with tqdm(total=len(samples), desc="verify") as bar:
        return verify(
            network,
            samples.inputs,
            samples.labels,
            compared,
            convolution=convolution,
            margins=known,
            progress=bar.update,
        )


def runners(
    names: Sequence[str], network: Network, checkpoint: Path | None
) -> tuple[dict[str, Runner], Runner | None]:
    """The runners of several backends, in order, and, with torch among them, its convolution.

    Raises :class:`UnknownBackendError` for an unknown name, one that stands twice, or torch
    without a checkpoint.
    """
    found: dict[str, Runner] = {}
    for name in names:
        if name in found:
            raise UnknownBackendError(f"the backend {name!r} stands twice; name each once.")
        if name != "torch":
            found[name] = runner(name, network)
        elif checkpoint is None:
            raise UnknownBackendError("the backend torch needs --checkpoint.")
        else:
            found[name] = torch_runner(checkpoint, network)
    if checkpoint is None or "torch" not in found:
        return found, None
    return found, torch_runner(checkpoint, network, "convolution")
