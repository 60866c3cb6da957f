"""Options that several commands of the command line share, each added to a command's parser."""

from __future__ import annotations

import argparse
from pathlib import Path

Parser = argparse.ArgumentParser


def outputs(command: Parser) -> None:
    """``--json``, ``--force``."""
    command.add_argument(
        "--json", type=Path, metavar="F", help="the answer as JSON (-: standard output)"
    )
    command.add_argument("--force", action="store_true", help="replace outputs that exist")


def network(command: Parser) -> None:
    """The network's directory, the first argument."""
    command.add_argument(
        "network", type=Path, metavar="NETWORK", help="a directory that export wrote"
    )


def checkpoint(command: Parser) -> None:
    """The checkpoint's directory, the first argument."""
    command.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a directory that train wrote"
    )


def settings(command: Parser) -> None:
    """``--set``, ``--epochs``: of a configuration."""
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a key of the configuration, such as model.channels=32; may be repeated",
    )
    command.add_argument(
        "--epochs", type=int, metavar="N", help="the same as --set training.epochs=N"
    )


def data(command: Parser, samples: bool = True) -> None:
    """``--data``; ``samples``: and ``--samples``."""
    command.add_argument(
        "--data", type=Path, metavar="DIR",
        help="directory of the data sets, or of your own train.npz and test.npz (.csv, "
        ".parquet, or folders), or a file to test on (default: $SNN_SSM_DATA)",
    )
    if samples:
        command.add_argument(
            "--samples", type=int, metavar="N", help="the first N test samples (default: all)"
        )


def cores(command: Parser) -> None:
    """How a network is laid out on SpiNNaker."""
    command.add_argument(
        "--neurons-per-core", type=int, metavar="N",
        help="SpiNNaker: neurons on one core (default: 64, or as many as fit)",
    )
    command.add_argument(
        "--time-scale-factor", type=int, metavar="F",
        help="SpiNNaker: how many times slower than real time (default: 1; a job: as planned)",
    )


def board(command: Parser) -> None:
    """Which SpiNNaker board, and :func:`cores`."""
    command.add_argument(
        "--board", metavar="virtual|emulated|ADDRESS|URL",
        help="SpiNNaker: the virtual board (mapping only), an emulated one of the command's "
        "own, a board or a spalloc server",
    )
    command.add_argument(
        "--machine-version", type=int, metavar="3|5|201|248",
        help="3: 4 chips; 5: 48 chips; 201, 248: SpiNNaker 2, mapping only (default: 5)",
    )
    cores(command)


def calibration(command: Parser) -> None:
    """``--calibration``: of the board's arithmetic."""
    command.add_argument(
        "--calibration", type=Path, metavar="DATA",
        help="SpiNNaker's arithmetic: choose scalings for training samples, with which others "
        "may saturate (default: for all inputs)",
    )


def processes(command: Parser) -> None:
    """``--processes``, ``--threads``."""
    command.add_argument(
        "--processes", type=int, default=1, metavar="P",
        help="share the samples out over P processes: the same results (default: %(default)s)",
    )
    command.add_argument(
        "--threads", type=int, metavar="T",
        help="NEST: share the neurons out over T threads: the same results (default: 1)",
    )


def chunk(command: Parser) -> None:
    """``--chunk``: a part of the samples."""
    command.add_argument(
        "--chunk", metavar="I/N",
        help="run the I-th of N parts of the samples only, as a task of an array job, and "
        "record it in the directory --out, the same for all parts",
    )


def rule(command: Parser) -> None:
    """When a sample's answer stands before its end."""
    command.add_argument(
        "--confidence", type=float, metavar="C",
        help="stop a sample once its answer is so sure, 0 to 1 (needs calibrate)",
    )
    command.add_argument(
        "--coverage", type=float, metavar="P",
        help="stop a sample once one class is left of a set that holds the right one with this "
        "probability (needs calibrate)",
    )
