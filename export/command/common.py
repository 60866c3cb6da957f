"""What the commands share: samples of a network, samples to calibrate with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynn_models.errors import SnnSsmError

if TYPE_CHECKING:
    from export.boards.config import Board
    from export.description.network import Network
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
    from snn_ssm.config import TaskConfig, from_dict
    from snn_ssm.tasks import load_samples
    from snn_ssm.tasks.base import check_labels

    if count is not None and count < 1:
        raise UsageError(f"--samples is {count}; expected at least 1.")
    task = from_dict(TaskConfig, dict(network.origin.get("task", {})), "task")
    samples = load_samples(data, split, task)
    if count is not None and count > len(samples):
        raise UsageError(f"--samples is {count}, but there are {len(samples)} {split} samples.")
    check_labels(samples.labels, network.population(network.readout.population).size, "--data")
    return samples.head(count)


def calibration_of(network: Network, args: argparse.Namespace, count: int | None = None) -> Any:
    """The first training samples in --calibration; None without."""
    if args.calibration is None:
        return None
    if count is None:
        return samples_of(network, args.calibration, None, "train").inputs[:CALIBRATION]
    return samples_of(network, args.calibration, count, "train").inputs
