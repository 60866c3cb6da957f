"""What the commands share: samples of a network, samples to calibrate with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynn_models.errors import SnnSsmError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from export.boards.config import Board
    from export.description.network import FloatArray, Network
    from export.samples.recording import Recording
    from snn_ssm.tasks import Samples

BACKENDS = "torch,software,nest"
CALIBRATION = 200  # samples that SpiNNaker's scalings are calibrated with


class UsageError(SnnSsmError):
    """Arguments that do not go together."""


def board_of(args: argparse.Namespace) -> Board:
    """The board of --board and what belongs to it; the virtual one without."""
    from export.boards.config import VIRTUAL, Board

    given = {
        "machine_version": args.machine_version,
        "neurons_per_core": args.neurons_per_core,
        "time_scale_factor": args.time_scale_factor,
    }
    return Board(args.board or VIRTUAL, **{k: v for k, v in given.items() if v is not None})


def samples_of(
    network: Network, data: Path | None, count: int | None, split: str = "test"
) -> Samples:
    """Samples of the task that a network was trained for, test or train."""
    from export.samples.task import task_of
    from snn_ssm.tasks import load_samples
    from snn_ssm.tasks.checks import check_labels

    if count is not None and count < 1:
        raise UsageError(f"--samples is {count}; expected at least 1.")
    task = task_of(network)
    samples = load_samples(data, split, task, each_step=network.readout.each_step)
    if count is not None and count > len(samples):
        raise UsageError(f"--samples is {count}, but there are {len(samples)} {split} samples.")
    readout = network.readout
    check_labels(
        samples.labels, readout.output, readout.each_step, len(network.names), network.steps,
        "--data",
    )
    return samples.head(count)


def require_classes(network: Network, what: str, samples: Samples | None = None) -> None:
    """Raise :class:`UsageError` unless a network answers with a class a sample, for ``what``.

    And where samples have different lengths, of which ``what`` knows nothing.
    """
    readout = network.readout
    if readout.output != "classes":
        raise UsageError(
            f"{what} is of networks that answer a sample with a class, and this one answers "
            f"{readout.output}{' at each step' if readout.each_step else ''}. Leave it out, or "
            "train with model.output = \"classes\"."
        )
    if samples is not None and samples.lengths is not None:
        raise UsageError(
            f"{what} takes all samples for {network.steps} steps long, and these have different "
            "lengths. Leave it out, or give samples of one length."
        )


def scores_by(
    network: Network, backend: str
) -> dict[str, Callable[[Any, Recording, NDArray[np.int64] | None], FloatArray]]:
    """The ways to the scores of samples (B, C, L), their recording and their lengths, by name.

    Spikes do not give those of a gated network; a network of standard cells has no readout
    population in a simulator; of a board only spikes are read.
    """
    from export.samples.readout import accumulated_logits, logits, scores_of
    from export.verification.backends import BACKENDS

    found: dict[str, Any] = {}
    if backend == "torch":
        return {"the model": lambda part, found, n: scores_of(network, part, found, n)}
    if network.linear_readout:
        found["spike counts"] = lambda part, recording, n: logits(network, part, recording, n)
    if network.family.streams and (
        BACKENDS[backend].reads_membranes or not network.linear_readout
    ):
        found[f"the population {network.readout.population!r}"] = (
            lambda part, recording, n: accumulated_logits(network, recording, n)
        )
    return found


def calibration_of(network: Network, args: argparse.Namespace, count: int | None = None) -> Any:
    """The first training samples in --calibration; None without."""
    if args.calibration is None:
        return None
    if count is None:
        return samples_of(network, args.calibration, None, "train").inputs[:CALIBRATION]
    return samples_of(network, args.calibration, count, "train").inputs
