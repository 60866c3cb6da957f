"""What each command of ``snn-ssm`` does, from its arguments to its exit status.

Torch and the simulators are imported by the commands that need them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.command.output import Output, directory
from pynn_models.errors import SnnSsmError
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from export.boards.config import Board
    from export.description.network import FloatArray, Network
    from export.samples.recording import Recording
    from snn_ssm.tasks import Samples


BACKENDS = "torch,software,nest"
_RATES = 20  # samples that a spike rate is taken from
CALIBRATION = 200  # samples that SpiNNaker's scalings are calibrated with


# What the directories hold that a command replaces when it is told to.
_CHECKPOINT = ("config.toml", "model*.safetensors")
_NETWORK = ("network.json", "arrays.safetensors")
_JOB = (
    "run.py", "manifest.py", "payload_*.py", "code", "network", "*.npz", "requirements.txt",
    "spynnaker.cfg.template", "SHA256SUMS",
)


class UsageError(SnnSsmError):
    """Arguments that do not go together."""


def _samples(
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


def train(args: argparse.Namespace) -> int:
    """``snn-ssm train``."""
    from snn_ssm import config as configuration
    from snn_ssm.tasks import data_directory, get_task, load_samples
    from snn_ssm.training import loop as training
    from snn_ssm.training.distributed import is_first

    task = get_task(args.task)
    config = configuration.load(args.config) if args.config else task.config()
    if config.task.name != task.name:
        raise UsageError(f"--config is for task {config.task.name!r}, not {task.name!r}.")
    if data_directory(args.data).suffix == ".npz":
        raise UsageError(
            f"--data is {args.data}: a file has no splits, and a network trained on it would be "
            "tested on the same samples. Give a directory with train.npz and test.npz."
        )
    if args.download:
        task.download(data_directory(args.data))
    metrics = training.train(
        config,
        load_samples(args.data, "train", config.task),
        load_samples(args.data, "test", config.task),
        args.out or Path("runs") / task.name,
        device=args.device,
        resume=args.resume,
        init=args.init,
        compile_step=args.compile,
    )
    if is_first():
        print(f"test accuracy {metrics['test_accuracy']:.2%}, {metrics['parameters']} parameters")
    return 0


def config(args: argparse.Namespace) -> int:
    """``snn-ssm config``: a task's own configuration, or a shipped one by its name."""
    from snn_ssm import config as configuration
    from snn_ssm import shipped
    from snn_ssm.config_comments import commented
    from snn_ssm.tasks import TASKS

    files = shipped.configurations()
    if args.task in TASKS:
        print(commented(TASKS[args.task].config()), end="")
    elif args.task in files:
        print(commented(configuration.load(files[args.task])), end="")
    else:
        raise UsageError(
            f"there is no configuration {args.task!r}; expected a task ({', '.join(TASKS)}) or "
            f"one that is shipped ({', '.join(files)})."
        )
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """``snn-ssm evaluate``: the trained model by convolution, and what it costs."""
    from export.samples.scores import evaluation_table
    from snn_ssm.checkpoint import load_checkpoint
    from snn_ssm.model.restore import load_network
    from snn_ssm.results.labels import model_name
    from snn_ssm.tasks import load_samples
    from snn_ssm.training import evaluation

    output = Output(args)
    checkpoint = load_checkpoint(args.checkpoint)
    samples = load_samples(args.data, "test", checkpoint.config.task)
    batch_size = checkpoint.config.training.batch_size
    found = evaluation.evaluate(load_network(checkpoint), samples, batch_size)
    result = {
        "task": checkpoint.config.task.name,
        "model": model_name(checkpoint.config),
        **evaluation.report(checkpoint, samples, found),
    }
    output.say(evaluation_table(result))
    output.result(result)
    return 0


def convert(args: argparse.Namespace) -> int:
    """``snn-ssm convert``."""
    from snn_ssm.convert.conversion import convert

    with directory(args.checkpoint, "checkpoint", _CHECKPOINT, args.force) as out:
        placement = convert(args.source, out, args.map)
    print(f"{args.checkpoint}: {len(placement.arrays)} arrays")
    changes = placement.changes
    name = max(changes, key=lambda name: changes[name], default="")
    if name and changes[name]:
        print(f"float32 changed values by up to {changes[name]:.1e} of their size, as in {name}")
    for text, names in (("set to 0", placement.zeros), ("left out", placement.ignored)):
        if names:
            print(f"{text}: {', '.join(names)}")
    return 0


def export(args: argparse.Namespace) -> int:
    """``snn-ssm export``."""
    from export.description.storage import save_network
    from export.lowering.network import lower
    from snn_ssm.checkpoint import load_checkpoint

    output = Output(args)
    checkpoint = load_checkpoint(args.checkpoint)
    network = lower(
        checkpoint, cells=args.cells, encoding=args.input, timestep=args.timestep
    )
    with directory(args.network, "network directory", _NETWORK, args.force) as out:
        save_network(network, out)
    found = {
        "neurons": sum(p.size for p in network.populations),
        "synapses": sum(p.weights.size for p in network.projections),
    }
    output.say(f"{args.network}: {found['neurons']} neurons, {found['synapses']} synapses")
    output.result(found)
    return 0


def inspect(args: argparse.Namespace) -> int:
    """``snn-ssm inspect``."""
    from export.description.inspection import describe, summary
    from export.description.storage import load_network

    output = Output(args)
    network = load_network(args.network)
    if args.board is not None:
        silence = np.zeros((1, network.source.channels, network.steps), np.uint16)
        return _map(network, args, silence, {}, output)
    calibration = _calibration(network, args, args.spinnaker, args.samples)
    if args.spinnaker:
        from export.fixed_point.report import describe_plan, plan_rows
        from export.fixed_point.simulation import make_plan

        plan = make_plan(network, calibration)
        output.say(describe_plan(network, plan))
        output.result(plan_rows(network, plan))
        return 0
    output.say(describe(network))
    output.result(summary(network))
    return 0


def _calibration(
    network: Network, args: argparse.Namespace, used: bool, count: int | None = None
) -> Any:
    """The first training samples in --calibration; None without."""
    if args.calibration is None:
        return None
    if not used:
        raise UsageError(
            "--calibration is for SpiNNaker's arithmetic: use it with 'inspect --spinnaker' or "
            "'run --backend spinnaker-software'."
        )
    if count is None:
        return _samples(network, args.calibration, None, "train").inputs[:CALIBRATION]
    return _samples(network, args.calibration, count, "train").inputs


# The arguments that belong to what a backend may use.
_BELONGS = {
    "board": ("board", "machine_version", "neurons_per_core", "time_scale_factor"),
    "calibration": ("calibration",),
}


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for an argument that means nothing to the backend."""
    from export.verification.backends import BACKENDS, UnknownBackendError

    if args.backend not in BACKENDS:
        raise UnknownBackendError(
            f"unknown backend {args.backend!r}; there are {', '.join(BACKENDS)}."
        )
    for use, names in _BELONGS.items():
        given = [name for name in names if getattr(args, name) is not None]
        if given and use not in BACKENDS[args.backend].uses:
            users = [backend.name for backend in BACKENDS.values() if use in backend.uses]
            raise UsageError(
                f"--{given[0].replace('_', '-')} means nothing to the backend {args.backend}; it "
                f"is for {' and '.join(users)}. Leave it out, or choose that backend."
            )


def _board(args: argparse.Namespace) -> Board:
    from export.boards.config import VIRTUAL, Board

    given = {
        "machine_version": args.machine_version,
        "neurons_per_core": args.neurons_per_core,
        "time_scale_factor": args.time_scale_factor,
    }
    return Board(args.board or VIRTUAL, **{k: v for k, v in given.items() if v is not None})


def _map(
    network: Network, args: argparse.Namespace, samples: Any, rates: dict[str, float],
    output: Output,
) -> int:
    """Map on the virtual board and print what sPyNNaker made of it."""
    from export.boards.execution import describe, execute

    board = _board(args)
    if not board.is_virtual:
        raise UsageError("only the virtual board is inspected; use --board virtual.")
    report = execute(network, samples, board).report
    output.say(describe(network, board, report, rates))
    output.result(report)
    return 0


def run(args: argparse.Namespace) -> int:
    """``snn-ssm run``: the classes from the spikes, and from the readout population.

    Spikes do not give those of a gated network; a network of standard cells has no such population
    in a simulator; from a board only spikes are read; the virtual one only maps.
    """
    from export.description.storage import load_network
    from export.samples.readout import accumulated_logits, logits
    from export.samples.recording import concatenate
    from export.verification.backends import BACKENDS, Options, runner
    from export.verification.backends.spinnaker import SPINNAKER

    _refuse_unused(args)
    output = Output(args, "out")
    network = load_network(args.network)
    samples = _samples(network, args.data, args.samples)
    if args.backend == SPINNAKER.name and _board(args).is_virtual:
        from export.boards.execution import mean_rates

        rates = mean_rates(network, samples.head(_RATES).inputs)
        return _map(network, args, samples.inputs, rates, output)
    options = Options(_board(args), _calibration(network, args, True))
    execute = runner(args.backend, network, options)
    readout = network.readout.population
    ways: dict[str, Callable[[Any, Recording], FloatArray]] = {}
    if network.linear_readout:
        ways["spike counts"] = lambda part, recording: logits(network, part, recording)
    reads = network.family.streams and BACKENDS[args.backend].reads_membranes
    if reads:
        ways[f"the population {readout!r}"] = lambda _, recording: accumulated_logits(
            network, recording
        )
    correct = dict.fromkeys(ways, 0)
    recordings = []
    with progress_bar(len(samples), desc=args.backend) as bar:
        for start in range(0, len(samples), args.batch):
            part = samples.inputs[start : start + args.batch]
            labels = samples.labels[start : start + args.batch]
            recording = execute(part, [readout] if reads else [])
            for name, scores in ways.items():
                correct[name] += int((scores(part, recording).argmax(axis=1) == labels).sum())
            if args.out:
                recordings.append(recording)
            bar.update(len(part))
    accuracies = {name: count / len(samples) for name, count in correct.items()}
    if args.out:
        concatenate(recordings).save(args.out)
    found = ", ".join(f"{accuracy:.2%} from {name}" for name, accuracy in accuracies.items())
    output.say(f"accuracy {found}, {len(samples)} samples")
    output.result(
        {"backend": args.backend, "samples": len(samples), "accuracy": accuracies}
    )
    return 0


def _verify(network: Network, args: argparse.Namespace) -> dict[str, Any]:
    from export.verification.backends import verify_backends

    names = [name.strip() for name in (args.backends or BACKENDS).split(",")]
    samples = _samples(network, args.data, args.samples)
    return verify_backends(names, network, args.checkpoint, samples)


def _verify_recording(network: Network, args: argparse.Namespace) -> dict[str, Any]:
    from export.job.results import read_calibration, reference, verify_results
    from export.verification.backends import runners

    names = (args.backends or reference(args.recording)).split(",")
    calibration = read_calibration(args.calibration)
    compared, _ = runners(
        [name.strip() for name in names], network, args.checkpoint, calibration
    )
    samples = _samples(network, args.data, args.samples)
    with progress_bar(desc="verify") as bar:
        return verify_results(
            args.network,
            network,
            samples.inputs,
            samples.labels,
            args.recording,
            compared,
            calibration=calibration,
            progress=bar.update,
        )


def verify(args: argparse.Namespace) -> int:
    """``snn-ssm verify``; exit status 1 where a compared row does not hold."""
    from export.description.inspection import verification_table
    from export.description.storage import load_network
    from export.verification.contract import holds

    if args.calibration is not None and args.recording is None:
        raise UsageError(
            "--calibration is for a job's results: use it with --recording, or leave it out."
        )
    output = Output(args)
    compare = _verify_recording if args.recording else _verify
    result = compare(load_network(args.network), args)
    output.say(verification_table(result))
    for start, stop in result.get("missing", ()):
        output.say(f"missing: samples {start} to {stop - 1}")
    output.result(result)
    return 0 if holds(result) and not result.get("missing") else 1


def _refuse_without_board(args: argparse.Namespace) -> None:
    names = ("calibration", "neurons_per_core", "time_scale_factor")
    given = [name for name in names if args.without_board and getattr(args, name) is not None]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for a board, and --without-board makes a job for "
            "NEST and software only. Leave one of them out."
        )


def job(args: argparse.Namespace) -> int:
    """``snn-ssm job``."""
    from export.description.storage import load_network
    from export.job.make import make_job
    from export.job.preflight import preflight
    from export.job.settings import BoardSettings

    _refuse_without_board(args)
    output = Output(args)
    network = load_network(args.network)
    samples = _samples(network, args.data, args.samples)
    calibration = _calibration(network, args, True)
    settings, found = None, None
    if not args.without_board:
        found = preflight(network, samples.inputs, args.neurons_per_core, calibration)
        factor = args.time_scale_factor
        settings = BoardSettings(found.factor if factor is None else factor, args.neurons_per_core)
        output.say(str(found))
        if settings.time_scale_factor < found.factor:
            output.say(
                f"--time-scale-factor {factor} is less than the {found.factor} that is planned: "
                "cores may fall behind"
            )
    with directory(args.out, "job directory", _JOB, args.force) as out:
        digest = make_job(args.network, samples, out, settings, calibration)
    simulators = "nest|software" if settings is None else "spiNNaker|nest|software"
    output.say(
        f"{args.out}: {len(samples)} samples; SHA-256 of manifest.py {digest}\n"
        f"run it with: python {args.out / 'run.py'} {simulators}"
    )
    output.result(
        {
            "samples": len(samples),
            "manifest_sha256": digest,
            "board": None if settings is None else settings.described(),
            "populations": [] if found is None else list(found.rows),
        }
    )
    return 0


def report(args: argparse.Namespace) -> int:
    """``snn-ssm report``: verify, then write the page; exit status as of ``verify``."""
    from export.description.storage import load_network
    from export.pages.demo import write_page
    from export.verification.contract import holds

    output = Output(args, "out")
    network = load_network(args.network)
    result = _verify(network, args)
    samples = _samples(network, args.data, args.samples)
    names = list(result["backends"])
    write_page(args.out, network, args.checkpoint, samples, names, result)
    output.say(f"wrote {args.out}")
    output.result(result)
    return 0 if holds(result) else 1


def demo(args: argparse.Namespace) -> int:
    """``snn-ssm demo``."""
    from export.pages.demo import run_demo

    return run_demo(args.out, args.samples)
