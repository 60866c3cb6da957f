"""The commands that compare runs: ``verify``, ``report`` and the ``demo``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from export.command.common import BACKENDS, UsageError, board_of, require_classes, samples_of
from export.command.output import Output
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from export.command.streaming import Tally
    from export.description.network import Network


def _verify(network: Network, args: argparse.Namespace) -> dict[str, Any]:
    from export.verification.backends import verify_backends

    names = [name.strip() for name in (args.backends or BACKENDS).split(",")]
    samples = samples_of(network, args.data, args.samples)
    board = board_of(args) if getattr(args, "board", None) else None
    processes, threads = getattr(args, "processes", 1), getattr(args, "threads", None)
    return verify_backends(names, network, args.checkpoint, samples, board, processes, threads)


def _verify_recording(network: Network, args: argparse.Namespace) -> dict[str, Any]:
    from export.job.results import read_calibration, reference, verify_results
    from export.verification.backends import runners

    names = (args.backends or reference(args.recording)).split(",")
    calibration = read_calibration(args.calibration)
    compared, _ = runners(
        [name.strip() for name in names], network, args.checkpoint, calibration,
        processes=args.processes, threads=args.threads,
    )
    samples = samples_of(network, args.data, args.samples)
    with progress_bar(desc="verify") as bar:
        return verify_results(
            args.network,
            network,
            samples.inputs,
            samples.labels,
            args.recording,
            compared,
            calibration=calibration,
            lengths=samples.lengths,
            progress=bar.update,
        )


def _tally(network: Network, args: argparse.Namespace) -> Tally | None:
    """How right a job's answers would have been where the rule stops; None without a rule."""
    from export.command.streaming import tally_from
    from export.job.results import read_chunks, recorded

    tally = tally_from(args, network)
    if tally is not None:
        samples = samples_of(network, args.data, args.samples)
        require_classes(network, "early exit", samples)
        for chunk in read_chunks(args.recording)[0]:
            part = slice(chunk.start, chunk.stop)
            recording = recorded(args.recording, chunk, network)
            tally.add(samples.inputs[part], samples.labels[part], recording)
    return tally


def verify(args: argparse.Namespace) -> int:
    """``snn-ssm verify``; exit status 1 where a compared row does not hold."""
    from export.description.inspection import verification_table
    from export.description.storage import load_network
    from export.verification.contract import holds

    if args.calibration is not None and args.recording is None:
        raise UsageError(
            "--calibration is for a job's results: use it with --recording, or leave it out."
        )
    for name in ("confidence", "coverage"):
        if getattr(args, name) is not None and args.recording is None:
            raise UsageError(
                f"--{name} says what a job's early answers would have been: use it with "
                "--recording, or use run."
            )
    if args.board is None:
        for name in ("machine_version", "neurons_per_core", "time_scale_factor"):
            if getattr(args, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} means nothing without --board. Add that, or "
                    "leave it out."
                )
    elif args.recording is not None:
        raise UsageError("--recording has run on a board already: leave --board out.")
    output = Output(args)
    compare = _verify_recording if args.recording else _verify
    network = load_network(args.network)
    result = compare(network, args)
    output.say(verification_table(result))
    tally = _tally(network, args)
    if tally is not None:
        output.say(tally.words())
        result["early"] = tally.result()
    for start, stop in result.get("missing", ()):
        output.say(f"missing: samples {start} to {stop - 1}")
    output.result(result)
    return 0 if holds(result) and not result.get("missing") else 1


def report(args: argparse.Namespace) -> int:
    """``snn-ssm report``: verify, then write the page; exit status as of ``verify``."""
    from export.description.storage import load_network
    from export.pages.demo import write_page
    from export.verification.contract import holds

    output = Output(args, "out")
    network = load_network(args.network)
    result = _verify(network, args)
    samples = samples_of(network, args.data, args.samples)
    names = list(result["backends"])
    write_page(args.out, network, args.checkpoint, samples, names, result)
    output.say(f"wrote {args.out}")
    output.result(result)
    return 0 if holds(result) else 1


def demo(args: argparse.Namespace) -> int:
    """``snn-ssm demo``."""
    from export.pages.demo import run_demo

    return run_demo(args.out, args.samples)
