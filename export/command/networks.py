"""The commands that make, show and run a network: ``export``, ``inspect``, ``run``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from export.command.chunks import check_chunk, record
from export.command.common import (
    UsageError,
    board_of,
    calibration_of,
    require_classes,
    samples_of,
    scores_by,
)
from export.command.output import Output, directory
from export.command.streaming import tally_from
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.description.network import Network
    from export.description.quantisation import Quantiser
    from snn_ssm.checkpoint import Checkpoint

# What --force may replace.
_CONFIDENCE = "confidence.json"
_NETWORK = ("network.json", "arrays.safetensors", _CONFIDENCE, "spinnaker2*")


def export(args: argparse.Namespace) -> int:
    """``snn-ssm export``."""
    from export.description.inspection import quantiser_entry, quantiser_lines
    from export.description.multiplicity import in_units
    from export.description.quantisation import with_lost
    from export.description.storage import save_network
    from export.lowering.network import lower
    from snn_ssm.checkpoint import load_checkpoint

    args.numbers = None if args.script is None else args.script.with_suffix(".npz")
    output = Output(args, "script", "numbers")
    checkpoint = load_checkpoint(args.checkpoint)
    quantiser, training = _quantiser(args, checkpoint)
    network = lower(
        checkpoint, cells=args.cells, encoding=args.input, timestep=args.timestep,
        messages=args.messages, residual=args.residual, quantiser=quantiser,
    )
    if training is not None:
        network = with_lost(network, training)
    if args.target is not None:
        from export.spinnaker2 import check_readout, describe_budget, nir_graph, save_target

        check_readout(network)  # refused before anything is written
        units = in_units(network)
        nir_graph(units)
    script = None
    if args.script is not None:
        from export.pynn.script import script_files, write_files

        script = script_files(network, args.script)
    with directory(args.network, "network directory", _NETWORK, args.force) as out:
        save_network(network, out)
        if quantiser is None and (args.checkpoint / _CONFIDENCE).exists():
            from export.streaming import load_confidence, save_confidence  # which loads numba

            save_confidence(load_confidence(args.checkpoint, network), out)
        if args.target is not None:
            save_target(units, out)
    if script is not None:
        write_files(args.script, script)
    found = {
        "neurons": sum(p.size for p in network.populations),
        "synapses": sum(p.n_synapses for p in network.projections),
        **quantiser_entry(network),
    }
    output.say(f"{args.network}: {found['neurons']} neurons, {found['synapses']} synapses")
    for line in quantiser_lines(network):
        output.say(line)
    if quantiser is not None and (args.checkpoint / _CONFIDENCE).exists():
        output.say(f"the checkpoint's {_CONFIDENCE} is of values that are not quantised, and stays "
                   f"there: snn-ssm calibrate {args.checkpoint} {args.network}")
    if network.folded:
        output.say("each layer computes all gated products before it: --residual relayed has one "
                   "population do that for all, with fewer synapses and less time in NEST")
    if args.target is not None:
        output.say(describe_budget(units))
    output.result(found)
    return 0


def _quantiser(
    args: argparse.Namespace, checkpoint: Checkpoint
) -> tuple[Quantiser | None, NDArray[Any] | None]:
    """The quantiser that --bits and --data ask for, and the training samples that it is for."""
    from export.description.quantisation import BITS, quantiser_for
    from export.lowering.errors import LoweringError
    from snn_ssm.tasks import load_samples

    if args.data is None and args.bits is None:
        return None, None
    task, model = checkpoint.config.task, checkpoint.config.model
    if args.input != "bits" or model.input_bits or model.encoder == "embedding":
        raise UsageError(
            f"--{'data' if args.bits is None else 'bits'} is for real values as bits, and "
            + (f"--input is {args.input or 'not given'}. Add --input bits, or leave it out."
               if args.input != "bits" else
               "this model reads integers or symbols, which are spikes as they are. Leave it out.")
        )
    if args.data is None:
        raise UsageError(
            "--bits is given, and no range of the values; expected the training samples. Give "
            "them as --data."
        )
    samples = load_samples(args.data, "train", task, each_step=model.each_step).inputs
    if samples.shape[1] != model.inputs:
        raise LoweringError(
            f"--data has samples of {samples.shape[1]} channels; expected {model.inputs}, those "
            "that the model reads. Give the samples that it was trained on."
        )
    return quantiser_for(samples, BITS if args.bits is None else args.bits), samples


def inspect(args: argparse.Namespace) -> int:
    """``snn-ssm inspect``."""
    from export.description.inspection import describe, summary
    from export.description.storage import load_network

    _refuse_unshown(args)
    output = Output(args)
    network = load_network(args.network)
    if args.board is not None:
        silence = np.zeros((1, network.source.channels, network.steps), np.uint16)
        return _map(network, args, silence, output)
    calibration = calibration_of(network, args, args.samples)
    if args.spinnaker:
        from export.description.inspection import input_entry
        from export.fixed_point.report import describe_plan, plan_rows
        from export.fixed_point.simulation import make_plan

        plan = make_plan(network, calibration)
        output.say(describe_plan(network, plan))
        told = input_entry(network) if network.source.kind.fractions else {}
        output.result(plan_rows(network, plan) | told)
        return 0
    if args.spinnaker2:
        from export.description.multiplicity import in_units
        from export.spinnaker2 import budget, describe_budget

        units = in_units(network)
        output.say(describe_budget(units))
        output.result({"populations": budget(units)})
        return 0
    output.say(describe(network))
    output.result(summary(network))
    return 0


def _refuse_unshown(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for arguments of ``inspect`` of which one would be ignored."""
    needed = {
        "machine_version": "board", "neurons_per_core": "board", "time_scale_factor": "board",
        "samples": "calibration", "calibration": "spinnaker",
    }
    for name, other in needed.items():
        if getattr(args, name) is not None and not getattr(args, other):
            raise UsageError(
                f"--{name.replace('_', '-')} means nothing without --{other}. Add that, or leave "
                "it out."
            )
    if (args.board is not None) + args.spinnaker + args.spinnaker2 > 1:
        raise UsageError(
            "--board, --spinnaker and --spinnaker2 show different things: what sPyNNaker maps, "
            "what fixed point costs, what cores of SpiNNaker 2 hold. Ask for one at a time."
        )


# The arguments that belong to what a backend may use.
_BELONGS = {
    "board": ("board", "machine_version", "neurons_per_core", "time_scale_factor"),
    "calibration": ("calibration",),
    "checkpoint": ("checkpoint",),
    "threads": ("threads",),
}


def refuse_unused(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for an argument that means nothing to the backend."""
    from export.verification.backends import BACKENDS, backend_named

    backend = backend_named(args.backend)
    for use, names in _BELONGS.items():
        given = [name for name in names if getattr(args, name, None) is not None]
        if given and use not in backend.uses:
            users = [other.name for other in BACKENDS.values() if use in other.uses]
            raise UsageError(
                f"--{given[0].replace('_', '-')} means nothing to the backend {args.backend}; it "
                f"is for {' and '.join(users)}. Leave it out, or choose that backend."
            )


def _map(
    network: Network, args: argparse.Namespace, samples: Any, output: Output, known: bool = False
) -> int:
    """Map on the virtual board, or run on an emulated one; print what sPyNNaker made of it."""
    from export.boards.config import EMULATED
    from export.boards.execution import execute
    from export.boards.tables import describe

    board = board_of(args)
    if not board.is_virtual and board.address != EMULATED:
        raise UsageError(
            "only boards of the command's own are inspected; use --board virtual or emulated."
        )
    report = execute(network, samples, board).report
    output.say(describe(network, board, report, samples if known or not board.is_virtual else None))
    output.result(report)
    return 0


def run(args: argparse.Namespace) -> int:
    """``snn-ssm run``: the answers from the spikes, and from the readout population.

    Which of them there are, :func:`export.command.common.scores_by` says; the virtual board only
    maps.
    """
    from export.description.quantisation import lost
    from export.description.storage import load_network
    from export.samples.answers import Counted
    from export.samples.recording import concatenate
    from export.verification.backends import Options, runner
    from export.verification.backends.spinnaker import SPINNAKER

    refuse_unused(args)
    check_chunk(args)
    output = Output(args, *(["out"] if args.chunk is None else []))
    network = load_network(args.network)
    samples = samples_of(network, args.data, args.samples)
    if args.backend == SPINNAKER.name and board_of(args).is_virtual:
        if args.out:
            raise UsageError(
                "--out is given, and the virtual board maps only: there are no spikes to write. "
                "Leave it out, or give --board an address."
            )
        return _map(network, args, samples.inputs, output, known=True)
    options = Options(
        board_of(args), calibration_of(network, args), processes=args.processes,
        threads=args.threads or 1,
    )
    if args.chunk is not None:
        record(
            args, network, samples.inputs, samples.labels, samples.lengths, options, output
        )
        return 0
    execute = runner(args.backend, network, options)
    ways = scores_by(network, args.backend)
    counted = {name: Counted.of(network) for name in ways}
    readout = network.readout.population
    read = [readout] if any(readout in name for name in ways) else []
    recordings = []
    early = tally_from(args, network)
    if early is not None:
        require_classes(network, "early exit", samples)
    with progress_bar(len(samples), desc=args.backend) as bar:
        for start in range(0, len(samples), args.batch):
            part = samples.take(slice(start, start + args.batch))
            recording = execute(part.inputs, read)
            for name, scores in ways.items():
                found = scores(part.inputs, recording, part.lengths)
                counted[name].add(found, part.labels, part.lengths)
            if early is not None:
                early.add(part.inputs, part.labels, recording)
            if args.out:
                recordings.append(recording)
            bar.update(len(part))
    if args.out:
        concatenate(recordings).save(args.out)
    metrics = {name: count.metrics() for name, count in counted.items()}
    said = ", ".join(
        f"{count.headline().removeprefix('accuracy ')} from {name}"
        for name, count in counted.items()
    )
    accuracies = {name: found["accuracy"] for name, found in metrics.items()}
    scored = network.readout.answers.score == "accuracy"
    output.say(f"{'accuracy ' if scored else ''}{said}, {len(samples)} samples")
    result = {
        "backend": args.backend,
        "samples": len(samples),
        "output": network.readout.output,
        "accuracy": accuracies,
        "metrics": metrics,
    }
    if early is not None:
        output.say(early.words())
        result["early"] = early.result()
    if network.source.kind.fractions:
        told = lost(network.source, samples.inputs)
        output.say(f"input quantised, {told.words()}")
        result["quantiser"] = told.entry()
    output.result(result)
    return 0
