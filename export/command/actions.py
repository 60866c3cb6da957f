"""The commands of the training side: ``train``, ``config``, ``evaluate``, ``convert``.

Torch is imported by the commands that need it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from export.command.common import UsageError
from export.command.output import Output, directory
from snn_ssm.waiting import sleep_when_idle

_CHECKPOINT = ("config.toml", "model*.safetensors")  # what --force may replace


def train(args: argparse.Namespace) -> int:
    """``snn-ssm train``."""
    sleep_when_idle()
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
    sleep_when_idle()
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
    """``snn-ssm convert``; exit status 1 where the model differs from its source (``--check``)."""
    from snn_ssm.convert import DifferentModelError, convert

    output = Output(args)
    try:
        with directory(args.checkpoint, "checkpoint", _CHECKPOINT, args.force) as out:
            placement = convert(args.source, out, args.map, args.check)
    except DifferentModelError as error:
        output.say(str(error))
        output.result({"check": error.comparison.as_dict()})
        return 1
    output.say(f"{args.checkpoint}: {len(placement.arrays)} arrays")
    changes, comparison = placement.changes, placement.comparison
    name = max(changes, key=lambda name: changes[name], default="")
    if name and changes[name]:
        output.say(
            f"float32 changed values by up to {changes[name]:.1e} of their size, as in {name}"
        )
    for text, names in (("set to 0", placement.zeros), ("left out", placement.ignored)):
        if names:
            output.say(f"{text}: {', '.join(names)}")
    if comparison is not None:
        output.say(f"check: {comparison}")
    output.result(
        {
            "arrays": len(placement.arrays),
            "zeros": placement.zeros,
            "left_out": placement.ignored,
            "check": None if comparison is None else comparison.as_dict(),
        }
    )
    return 0
