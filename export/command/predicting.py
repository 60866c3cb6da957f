"""The command ``predict``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from export.command.common import UsageError, board_of, calibration_of, scores_by
from export.command.output import Output
from export.command.streaming import rule_from
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from export.description.network import Network
    from export.samples.predictions import Predictions
    from export.streaming import Rule
    from export.verification.contract import Runner

_BATCH = 100
_SHOWN = 10  # answers, where they are not written


def inputs_of(
    network: Network, data: Path, count: int | None
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """The inputs (B, C, L) in a user's file or folder, and lengths (B,); labels are not needed."""
    from snn_ssm.config import TaskConfig, from_dict
    from snn_ssm.tasks.own import read_inputs

    if count is not None and count < 1:
        raise UsageError(f"--samples is {count}; expected at least 1.")
    task = from_dict(TaskConfig, dict(network.origin.get("task", {})), "task")
    found = read_inputs(data, task)
    if count is not None and count > len(found):
        raise UsageError(f"--samples is {count}, but there are {len(found)} samples.")
    lengths = None if found.lengths is None else found.lengths[:count]
    return found.inputs[:count], lengths


def predict(args: argparse.Namespace) -> int:
    """``snn-ssm predict``: what the network answers, without knowing what is right."""
    from export.command.networks import refuse_unused
    from export.description.storage import load_network
    from export.samples.predictions import check_name
    from export.verification.backends import Options, runner

    if args.out is not None:
        check_name(args.out)
    refuse_unused(args)
    output = Output(args, "out")
    network = load_network(args.network)
    inputs, lengths = inputs_of(network, args.data, args.samples)
    if args.backend == "spinnaker" and board_of(args).is_virtual:
        raise UsageError(
            "the virtual board maps only, and answers nothing. Give --board an address, or "
            "'emulated'."
        )
    options = Options(
        board_of(args), calibration_of(network, args), args.checkpoint, args.processes
    )
    execute = runner(args.backend, network, options)
    rule = rule_from(args, network)
    if rule is not None and lengths is not None:
        raise UsageError(
            "early answers are of samples of the network's own length, and these have lengths of "
            "their own. Leave --confidence and --coverage out."
        )
    if rule is None:
        name, found = _whole(args.backend, network, execute, inputs, lengths)
    else:
        name, found = _early(args.backend, network, execute, inputs, rule)
    if args.out is not None:
        found.write(args.out)
        output.say(f"{args.out}: answers to {len(inputs)} samples, from {name}")
    else:
        output.say("\n".join(_lines(found)))
    output.result(
        {
            "backend": args.backend,
            "samples": len(inputs),
            "output": network.readout.output,
            "names": list(network.names),
            "answers": found.answers.tolist(),
            "scores": found.scores.tolist(),
            **({} if found.steps is None else {"steps": found.steps.tolist()}),
            "confidence": None if found.confidence is None else found.confidence.tolist(),
        }
    )
    return 0


def _parts(inputs: NDArray[Any], backend: str) -> Iterator[slice]:
    with progress_bar(len(inputs), desc=backend) as bar:
        for start in range(0, len(inputs), _BATCH):
            part = slice(start, start + _BATCH)
            yield part
            bar.update(len(inputs[part]))


def _whole(
    backend: str, network: Network, execute: Runner, inputs: NDArray[Any],
    lengths: NDArray[np.int64] | None,
) -> tuple[str, Predictions]:
    """Where the answers are from, and those to whole samples."""
    from export.samples.predictions import Predictions

    name, scores = list(scores_by(network, backend).items())[-1]
    readout = network.readout.population
    parts = []
    for part in _parts(inputs, backend):
        recording = execute(inputs[part], [readout] if readout in name else [])
        parts.append(scores(inputs[part], recording, None if lengths is None else lengths[part]))
    return name, Predictions(network, np.concatenate(parts), lengths)


def _early(
    backend: str, network: Network, execute: Runner, inputs: NDArray[Any], rule: Rule
) -> tuple[str, Predictions]:
    """The same of answers that came when the rule had seen enough."""
    from export.samples.predictions import Predictions
    from export.samples.readout import needed_membranes
    from export.streaming import exits, running_scores

    parts = []
    for part in _parts(inputs, backend):
        recording = execute(inputs[part], needed_membranes(network))
        scores = running_scores(network, inputs[part], recording, rule.steps)
        parts.append(exits(rule, scores))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("scores", "steps", "sure")
    }
    name = f"{backend}, early: {joined['steps'].mean() / network.steps:.1%} of the steps"
    return name, Predictions(network, **joined)


def _lines(found: Any) -> list[str]:
    """The first answers as a table."""
    from export.description.inspection import table

    rows: list[dict[str, object]] = []
    for row in found.rows():
        if len(rows) == _SHOWN:
            break
        rows.append(row)
    cells = [
        [f"{v:.4g}" if isinstance(v, float | np.floating) else str(v) for v in row.values()]
        for row in rows
    ]
    return [table(list(rows[0]), cells), "(the first; --out F.csv writes all)"]
