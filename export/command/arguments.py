"""The command line, ``snn-ssm``: its arguments; the modules beside this one do the work."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from export.command import (
    actions,
    attacking,
    comparing,
    jobs,
    networks,
    nir,
    options,
    predicting,
    ranks,
    signal,
    streaming,
)
from export.command.board import board as start_board
from export.command.common import BACKENDS, CALIBRATION
from export.command.process import COMPARISON_FAILED, guarded, prepare
from export.command.terminal import Printed
from pynn_models.ranks import told_rank
from snn_ssm import __version__
from snn_ssm.tasks import TASKS


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command, from which their page in the documentation is made, too."""
    parser = argparse.ArgumentParser(
        prog="snn-ssm",
        description="Train state-space spiking networks, run them as PyNN networks, and prove "
        "that what runs is what was trained.",
    )
    parser.add_argument("--version", action="version", version=f"snn-ssm {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        command = subparsers.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        command.add_argument(
            "--quiet", action="store_true", help="no progress: errors only, and the answer"
        )
        return command

    command = add("train", actions.train, "train a network")
    command.add_argument("task", metavar="TASK", help=", ".join(TASKS))
    command.add_argument("--config", type=Path, metavar="F", help="TOML (default: the task's own)")
    options.settings(command)
    options.data(command, samples=False)
    command.add_argument("--download", action="store_true", help="fetch missing data files first")
    command.add_argument("--out", type=Path, metavar="DIR", help="default: runs/TASK")
    command.add_argument("--device", default="cpu", metavar="D", help="torch device")
    command.add_argument(
        "--init", type=Path, metavar="CHECKPOINT", help="start from a trained model's arrays"
    )
    command.add_argument(
        "--compile", action="store_true", help="compile the training step (on a GPU only)"
    )
    command.add_argument("--resume", action="store_true", help="continue a killed run in --out")

    command = add("config", actions.config, "print a configuration to start from")
    command.add_argument(
        "task", metavar="TASK", help="a task, or the name of a shipped configuration"
    )
    options.settings(command)
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="task own: what follows from these data"
    )
    command.set_defaults(config=None)

    command = add("evaluate", actions.evaluate, "accuracy, spike rate and cost of a checkpoint")
    options.checkpoint(command)
    options.data(command, samples=False)
    options.outputs(command)

    command = add("convert", actions.convert, "a checkpoint from a model trained elsewhere")
    command.add_argument("source", type=Path, metavar="SOURCE", help="its state dict")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a new directory")
    command.add_argument(
        "--map", type=Path, metavar="F", required=True,
        help="TOML: the model and the names of its arrays",
    )
    command.add_argument(
        "--check", type=Path, metavar="X.npz",
        help="inputs and the source model's logits; nothing is written where the converted "
        "model's differ (exit status 1)",
    )
    options.outputs(command)

    command = add("export", networks.export, "lower a checkpoint to a network of populations")
    options.checkpoint(command)
    command.add_argument("network", type=Path, metavar="NETWORK", help="a new directory")
    command.add_argument(
        "--cells", choices=["native", "stock"], help="default: what the model was trained for"
    )
    command.add_argument(
        "--input", choices=["bits", "current", "token", "spikes"],
        help="default: token for an embedding, bits for integers, current for real values; bits "
        "of real values: quantised, by --data and --bits",
    )
    command.add_argument(
        "--data", type=Path, metavar="DIR",
        help="bits of real values: training samples, whose range is quantised",
    )
    command.add_argument(
        "--bits", type=int, metavar="B",
        help="bits of real values: so many a channel, 2 to 16, one for the sign (default: 12)",
    )
    command.add_argument(
        "--messages", choices=["counts", "differences"],
        help="of integer spikes; the same network; default: what the model was trained for",
    )
    command.add_argument(
        "--residual", choices=["folded", "relayed"], default="folded",
        help="the stream that layers of GLU or GSU add to: computed by each layer for itself, or "
        "by a population behind each, which sends real values: several times fewer synapses "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--timestep", type=float, default=1.0, metavar="MS",
        help="of the simulator, in ms (default: %(default)s)",
    )
    command.add_argument(
        "--script", type=Path, metavar="NET.py",
        help="also write a plain PyNN script, its numbers beside it in NET.npz",
    )
    command.add_argument(
        "--target", choices=["spinnaker2"],
        help="also write what SpiNNaker 2's public software reads: a NIR graph, arrays, a script",
    )
    options.outputs(command)

    command = add(
        "inspect", networks.inspect, "populations, projections, latency, synapses, ranges"
    )
    options.network(command)
    command.add_argument(
        "--spinnaker", action="store_true",
        help="what SpiNNaker's fixed point does to weights and modes",
    )
    command.add_argument(
        "--spinnaker2", action="store_true", help="cores and instructions on SpiNNaker 2",
    )
    options.calibration(command)
    command.add_argument(
        "--samples", type=int, metavar="N",
        help=f"samples to calibrate with (default: {CALIBRATION})",
    )
    options.board(command)
    options.outputs(command)

    command = add("run", networks.run, "run a network and classify the test samples")
    options.network(command)
    options.processes(command)
    options.chunk(command)
    command.add_argument(
        "--backend", default="software", metavar="software|spinnaker-software|nest|spinnaker",
        help="what runs it (default: %(default)s)",
    )
    options.outputs(command)
    options.board(command)
    options.calibration(command)
    options.data(command)
    command.add_argument(
        "--out", type=Path, metavar="F|DIR",
        help="write spikes as safetensors; with --chunk to a directory",
    )
    options.rule(command)
    command.set_defaults(batch=100)

    command = add("stream", signal.stream, "a live signal in, answers out, step by step")
    options.network(command)
    command.add_argument(
        "--follow", type=Path, metavar="F",
        help="a file that grows, a line a step (default: standard input)",
    )
    command.add_argument(
        "--listen", type=int, metavar="PORT",
        help="of 127.0.0.1: lines from whoever connects, answers back",
    )
    command.add_argument(
        "--answers", choices=["every", "changed", "final"], default="changed",
        help="which answers are written (default: %(default)s)",
    )
    command.add_argument(
        "--endless", action="store_true",
        help="one sample without end, for readouts of single steps",
    )
    command.add_argument(
        "--backend", default="software", metavar="software|nest|spinnaker",
        help="what the signal goes into (default: %(default)s)",
    )
    command.add_argument(
        "--steps", type=int, metavar="N",
        help="of a simulator that runs an endless signal, or of a board, which always does",
    )
    options.board(command)
    command.add_argument(
        "--state", type=Path, metavar="F",
        help="go on from this file if it exists; written at the end",
    )
    options.rule(command)

    command = add(
        "calibrate", streaming.calibrate, "how sure answers are before a sample ends, and how true"
    )
    options.checkpoint(command)
    command.add_argument(
        "networks", type=Path, nargs="*", metavar="NETWORK",
        help="networks exported from it, beside which it is written, too",
    )
    options.data(command)
    options.outputs(command)
    command.set_defaults(batch=100)

    command = add("predict", predicting.predict, "answers to samples, without labels")
    options.network(command)
    options.processes(command)
    options.chunk(command)
    command.add_argument(
        "--recording", type=Path, metavar="DIR",
        help="answer with what the parts of --chunk recorded, or a job's run.py",
    )
    command.add_argument(
        "--data", type=Path, metavar="F", required=True,
        help="a file or folder of samples; labels in it are not read",
    )
    command.add_argument(
        "--samples", type=int, metavar="N", help="the first N samples (default: all)"
    )
    command.add_argument(
        "--backend", metavar="torch|software|spinnaker-software|nest|spinnaker",
        help="what runs it (default: software)",
    )
    command.add_argument(
        "--checkpoint", type=Path, metavar="C", help="the trained model, for the backend torch"
    )
    command.add_argument(
        "--out", type=Path, metavar="F.csv|F.npz|DIR",
        help="write answers, scores and confidence; with --chunk spikes, to a directory",
    )
    options.outputs(command)
    options.board(command)
    options.calibration(command)
    options.rule(command)

    command = add("verify", comparing.verify, "compare backends spike for spike")
    options.network(command)
    options.processes(command)
    command.add_argument(
        "--checkpoint", type=Path, metavar="C", help="the trained model, for the backend torch"
    )
    command.add_argument(
        "--backends", metavar="A,B,...",
        help=f"the first is the reference (default: {BACKENDS}; with --recording: "
        "software, for results from SpiNNaker spinnaker-software)",
    )
    command.add_argument(
        "--recording", type=Path, metavar="RESULTS",
        help="compare what a job's run.py wrote, or --chunk; --data has the samples that were run, "
        "a job's inputs.npz",
    )
    command.add_argument(
        "--calibration", type=Path, metavar="F",
        help="with --recording: the job's calibration.npz, where it has one",
    )
    options.board(command)
    options.data(command)
    options.outputs(command)
    options.rule(command)

    command = add("attack", attacking.attack, "the fewest input spikes that turn an answer")
    options.network(command)
    command.add_argument(
        "--checkpoint", type=Path, metavar="C", required=True,
        help="the trained model, for its gradients",
    )
    options.data(command)
    command.add_argument(
        "--out", type=Path, metavar="F.npz", help="write the samples as they turned out, to run"
    )
    options.outputs(command)

    command = add("report", comparing.report, "verify, and write a page of figures")
    options.network(command)
    command.add_argument(
        "--checkpoint", type=Path, metavar="C", required=True, help="the trained model"
    )
    command.add_argument(
        "--backends", default=BACKENDS, metavar="A,B,...",
        help="the first is the reference (default: %(default)s)",
    )
    options.data(command)
    command.add_argument(
        "--out", type=Path, metavar="F.html", required=True, help="the page to write"
    )
    options.outputs(command)

    command = add("job", jobs.job, "write a self-contained board job, inputs included")
    options.network(command)
    command.add_argument("out", type=Path, metavar="DIR", help="a new directory")
    options.data(command)
    options.calibration(command)
    options.cores(command)
    command.add_argument(
        "--board", metavar="emulated", help="try the job on an emulated board, and compare"
    )
    command.add_argument(
        "--without-board", action="store_true",
        help="a job for NEST and software only, of a network that cannot run on SpiNNaker",
    )
    options.outputs(command)

    command = add("board", start_board, "an emulated SpiNNaker board for any PyNN script")
    command.add_argument(
        "address", metavar="ADDRESS", nargs="?",
        help="of this computer's own network, 127.* (default: one that is free)",
    )
    command.add_argument(
        "--machine-version", dest="version", type=int, default=5, metavar="3|5",
        help="3: 4 chips; 5: 48 chips (default: %(default)s)",
    )

    nir.add_arguments(subparsers.add_parser("nir", help=nir.TEXT, description=nir.TEXT))

    command = add("demo", comparing.demo, "the main job on shipped data and a shipped checkpoint")
    command.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR",
        help="where to write; an earlier demo is replaced (default: %(default)s)",
    )
    command.add_argument(
        "--samples", type=int, default=200, metavar="N",
        help="the first N of the shipped images (default: %(default)s)",
    )
    return parser


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions; needs ``argcomplete``, which is optional."""
    if "_ARGCOMPLETE" in os.environ:
        with contextlib.suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (:mod:`export.command.process`)."""

    def work() -> int:
        parser = make_parser()
        _complete(parser)
        with ranks.one_voice():
            args = parser.parse_args(argv)
        prepare(args.quiet or bool(told_rank()))
        if ranks.is_shared(args):
            return ranks.in_step(args, args.function)
        return int(args.function(args))

    with contextlib.redirect_stdout(cast(TextIO, Printed(sys.stdout))):
        status = guarded(work)
    if status not in (0, COMPARISON_FAILED):
        ranks.end_all(status)
    return status
