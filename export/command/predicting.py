"""The command ``predict``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from export.command.chunks import check_chunk, record, recorded_parts
from export.command.common import UsageError, board_of, calibration_of, scores_by
from export.command.output import Output
from export.command.streaming import rule_from
from pynn_models.errors import printable
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from export.description.network import FloatArray, Network
    from export.samples.predictions import Predictions
    from export.samples.recording import Recording
    from export.streaming import Rule
    from export.verification.backends import Options

    Parts = Iterable[tuple[slice, Recording]]

_BATCH = 100
_SHOWN = 10  # answers, where they are not written


def inputs_of(
    network: Network, data: Path, count: int | None
) -> tuple[NDArray[Any], NDArray[np.int64] | None, tuple[str, ...]]:
    """The inputs (B, C, L) in a user's file or folder, lengths (B,) and the samples' names, if any.

    Labels are not needed.
    """
    from export.samples.task import task_of
    from snn_ssm.tasks.own import read_inputs

    if count is not None and count < 1:
        raise UsageError(f"--samples is {count}; expected at least 1.")
    task = task_of(network)
    found = read_inputs(data, task)
    if count is not None and count > len(found):
        raise UsageError(f"--samples is {count}, but there are {len(found)} samples.")
    lengths = None if found.lengths is None else found.lengths[:count]
    return found.inputs[:count], lengths, found.samples[:count]


def _check_recording(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for options of a run, where none is run."""
    names = ("chunk", "backend", "checkpoint", "threads")
    given = [name for name in names if getattr(args, name) is not None]
    if given:
        raise UsageError(
            f"--{given[0]} is given, and --recording answers with what was run already. Leave one "
            "of the two out."
        )


def predict(args: argparse.Namespace) -> int:
    """``snn-ssm predict``: what the network answers, without knowing what is right."""
    from export.command.networks import refuse_unused
    from export.description.storage import load_network
    from export.job.results import scores_in
    from export.samples.predictions import check_name
    from export.verification.backends import Options

    if args.out is not None and args.chunk is None:
        check_name(args.out)
    if args.recording is not None:
        _check_recording(args)
    args.backend = args.backend or "software"
    refuse_unused(args)
    check_chunk(args)
    output = Output(args, *(["out"] if args.chunk is None else []))
    network = load_network(args.network)
    inputs, lengths, called = inputs_of(network, args.data, args.samples)
    if args.backend == "spinnaker" and board_of(args).is_virtual:
        raise UsageError(
            "the virtual board maps only, and answers nothing. Give --board an address, or "
            "'emulated'."
        )
    options = Options(
        board_of(args), calibration_of(network, args), args.checkpoint, args.processes,
        args.threads or 1,
    )
    if args.chunk is not None:
        record(args, network, inputs, None, lengths, options, output)
        return 0
    rule = rule_from(args, network)
    if rule is not None and lengths is not None:
        raise UsageError(
            "early answers are of samples of the network's own length, and these have lengths of "
            "their own. Leave --confidence and --coverage out."
        )
    scores: Callable[..., FloatArray]
    if args.recording is not None:
        backend, parts = recorded_parts(args.recording, args.network, network, inputs)
        source, scores = str(args.recording), partial(scores_in, network)
    else:
        backend, parts = args.backend, _run(args.backend, network, options, inputs)
        source, scores = next(iter(scores_by(network, backend).items()))
    if rule is None:
        name, found = source, _whole(network, parts, scores, inputs, lengths)
    else:
        name, found = _early(backend, network, parts, inputs, rule)
    found = replace(found, samples=called)
    if args.out is not None:
        found.write(args.out)
        output.say(f"{args.out}: answers to {len(inputs)} samples, from {name}")
    else:
        output.say("\n".join(_lines(found)))
    output.result(
        {
            "backend": backend,
            "samples": len(inputs),
            **({"sample_names": list(called)} if called else {}),
            "output": network.readout.output,
            "names": list(network.names),
            "answers": found.answers.tolist(),
            "scores": found.scores.tolist(),
            **({} if found.steps is None else {"steps": found.steps.tolist()}),
            "confidence": None if found.confidence is None else found.confidence.tolist(),
        }
    )
    return 0


def _run(
    backend: str, network: Network, options: Options, inputs: NDArray[Any]
) -> Iterator[tuple[slice, Recording]]:
    from export.samples.readout import needed_membranes
    from export.verification.backends import runner

    execute = runner(backend, network, options)
    with progress_bar(len(inputs), desc=backend) as bar:
        for start in range(0, len(inputs), _BATCH):
            part = slice(start, start + _BATCH)
            yield part, execute(inputs[part], needed_membranes(network))
            bar.update(len(inputs[part]))


def _whole(
    network: Network, parts: Parts, scores: Callable[..., FloatArray], inputs: NDArray[Any],
    lengths: NDArray[np.int64] | None,
) -> Predictions:
    """The answers to whole samples, by ``scores(inputs, recording, lengths)``.

    ``parts``: which samples, and their recording; all of them, in order.
    """
    from export.samples.predictions import Predictions

    found = [
        scores(inputs[part], recording, None if lengths is None else lengths[part])
        for part, recording in parts
    ]
    return Predictions(network, np.concatenate(found), lengths)


def _early(
    backend: str, network: Network, parts: Parts, inputs: NDArray[Any], rule: Rule
) -> tuple[str, Predictions]:
    """The same of answers that came when the rule had seen enough."""
    from export.samples.predictions import Predictions
    from export.streaming import exits, running_scores

    found = [
        exits(rule, running_scores(network, inputs[part], recording, rule.steps))
        for part, recording in parts
    ]
    joined = {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in ("scores", "steps", "sure")
    }
    name = f"{backend}, early: {joined['steps'].mean() / network.steps:.1%} of the steps"
    return name, Predictions(
        network, joined["scores"], steps=joined["steps"], sure=joined["sure"]
    )


def _lines(found: Any) -> list[str]:
    """The first answers as a table."""
    from export.description.inspection import table

    rows: list[dict[str, object]] = []
    for row in found.rows():
        if len(rows) == _SHOWN:
            break
        rows.append(row)
    cells = [[_cell(value) for value in row.values()] for row in rows]
    return [table(list(rows[0]), cells), "(the first; --out F.csv writes all)"]


def _cell(value: object) -> str:
    number = isinstance(value, float | np.floating)
    return f"{value:.4g}" if number else printable(str(value))
