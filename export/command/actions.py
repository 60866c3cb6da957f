"""The commands of the training side: ``train``, ``config``, ``evaluate``, ``convert``.

Torch is imported by the commands that need it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from export.command.common import UsageError
from export.command.output import Output, directory
from snn_ssm.waiting import sleep_when_idle

if TYPE_CHECKING:
    from snn_ssm.config import Config

_CHECKPOINT = ("config.toml", "model*.safetensors")  # what --force may replace


def train(args: argparse.Namespace) -> int:
    """``snn-ssm train``."""
    sleep_when_idle()
    from snn_ssm.kinds.outputs import OUTPUTS
    from snn_ssm.tasks import get_task, has_valid, load_samples, own
    from snn_ssm.training import compilation
    from snn_ssm.training import loop as training
    from snn_ssm.training.distributed import find_device, is_first

    task = get_task(args.task)
    device = find_device(args.device)  # before anything is fetched
    if args.compile:
        compilation.require_gpu(device)
    config = _configured(args, _splits(args.data) if task is own.OWN else None)
    if config.task.name != task.name:
        raise UsageError(f"--config is for task {config.task.name!r}, not {task.name!r}.")
    data = _splits(args.data)
    if args.download:
        task.download(data)
    load = partial(load_samples, args.data, task=config.task, each_step=config.model.each_step)
    metrics = training.train(
        config,
        load("train"),
        # Choosing settings on folds of the training samples, nobody is to see the test's figures.
        None if config.task.valid_fold else load("test"),
        args.out or Path("runs") / task.name,
        device=args.device,
        resume=args.resume,
        init=args.init,
        compile_step=args.compile,
        valid_samples=load("valid") if has_valid(args.data, config.task) else None,
    )
    if is_first():
        kind = OUTPUTS[config.model.output]
        split = "valid" if config.task.valid_fold else "test"
        found = {key.removeprefix(f"{split}_"): value for key, value in metrics.items()}
        print(f"{split} {kind.headline(found)}, {metrics['parameters']} parameters")
    return 0


def _splits(data: Path | None) -> Path:
    """The directory of the data; raises :class:`UsageError` for a file."""
    from snn_ssm.tasks import data_directory

    found = data_directory(data)
    if found.is_file():
        raise UsageError(
            f"--data is {data}: a file has no splits, and a network trained on it would be "
            "tested on the same samples. Give a directory with train.npz and test.npz."
        )
    return found


def _configured(args: argparse.Namespace, data: Path | None) -> Config:
    """The configuration of ``train`` and ``config``: the task's own, below it what the data say,
    above it the file's and the settings'."""
    from snn_ssm.config import Config, from_dict
    from snn_ssm.settings import keys_of, merged, parse_settings, read_tables, tables_of
    from snn_ssm.tasks import get_task, own

    given = merged(
        read_tables(args.config) if args.config else {},
        parse_settings(args.set),
        {} if args.epochs is None else {"training": {"epochs": args.epochs}},
    )
    task = get_task(args.task)
    # A file that names another task is that task's: what it does not set is not ours to add.
    base = Config() if args.config else task.config()
    tables = merged(tables_of(base), given)
    if task is own.OWN and data is not None and tables["task"]["name"] == task.name:
        tables = own.derived(data, tables, keys_of(given))
    return from_dict(Config, tables)


def config(args: argparse.Namespace) -> int:
    """``snn-ssm config``: a task's own configuration, or a shipped one by its name.

    Of own data, what is trained with on them.
    """
    from snn_ssm import config as configuration
    from snn_ssm import shipped
    from snn_ssm.config.comments import commented
    from snn_ssm.tasks import TASKS, own

    files = shipped.configurations()
    if args.task in TASKS:
        task = TASKS[args.task]
        if args.data is not None and task is not own.OWN:
            raise UsageError(
                f"--data is given, and the configuration of the task {args.task!r} does not follow "
                "from data; that of the task 'own' does. Leave it out."
            )
        later = own.DERIVED if task is own.OWN and args.data is None else {}
        data = None if args.data is None else _splits(args.data)
        print(commented(_configured(args, data), later), end="")
    elif args.set or args.epochs is not None or args.data is not None:
        raise UsageError(
            f"{args.task!r} is no task; expected one of {', '.join(TASKS)} with --set, --epochs or "
            "--data. Leave them out, and edit what is printed."
        )
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
    config = checkpoint.config
    samples = load_samples(args.data, "test", config.task, each_step=config.model.each_step)
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
