"""``snn-ssm stream``: a signal in line by line, answers out; in software, in NEST, on a board."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from export.command.common import UsageError, board_of
from export.command.streaming import rule_from
from export.samples.answers import decide
from snn_ssm.files import writable

if TYPE_CHECKING:
    from export.description.network import Network
    from export.streaming import Answer, FrontEnd

_HEADER = "sample,step,answer,confidence,final"


@dataclass(frozen=True)
class _Signal:
    """What a signal goes into: the answers that have come, and those still to come at its end.

    ``computed``: how many steps were, where a rule can stop.
    """

    steps: Callable[[Any], list[Answer]]
    rest: Callable[[], list[Answer]] = list
    computed: Callable[[], int | None] = lambda: None


@contextlib.contextmanager
def _software(
    args: argparse.Namespace, network: Network, front: FrontEnd | None
) -> Iterator[_Signal]:
    """The state is read before and written after, also where a line was refused."""
    from export.streaming import Session

    rule = rule_from(args, network)
    session = Session(network, rule=rule, endless=args.endless)
    if args.state is not None:
        writable(args.state)
    if args.state is not None and args.state.exists():
        session = Session.load(network, args.state, rule=rule, front=front)
    try:
        yield _Signal(session.steps, computed=lambda: session.computed)
    finally:
        if args.state is not None:
            session.save(args.state, front)


@contextlib.contextmanager
def _nest(args: argparse.Namespace, network: Network, front: FrontEnd | None) -> Iterator[_Signal]:
    from export.streaming import NestSession, lengthened

    if args.endless:
        network = lengthened(network, _steps(args))
    with NestSession(network) as session:
        yield _Signal(session.steps, session.rest)


@contextlib.contextmanager
def _board(args: argparse.Namespace, network: Network, front: FrontEnd | None) -> Iterator[_Signal]:
    from export.streaming import BoardSession

    with BoardSession(network, board_of(args), steps=_steps(args)) as session:
        yield _Signal(session.steps, session.rest)


_BACKENDS: dict[str, Callable[..., contextlib.AbstractContextManager[_Signal]]] = {
    "software": _software, "nest": _nest, "spinnaker": _board,
}


def _steps(args: argparse.Namespace) -> int:
    if args.steps is None or args.steps < 1:
        raise UsageError(
            f"a signal without end needs a length in --backend {args.backend}; --steps is "
            f"{args.steps}. Give --steps N: the simulation ends after so many steps."
        )
    return int(args.steps)


def _check(args: argparse.Namespace) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    if args.follow is not None and args.listen is not None:
        raise UsageError("--follow and --listen are two sources. Give one of them.")
    if args.backend not in _BACKENDS:
        raise UsageError(
            f"--backend is {args.backend!r}; expected one of {', '.join(_BACKENDS)}, which take a "
            "signal step by step."
        )
    alone = {"--state": args.state, "--confidence": args.confidence, "--coverage": args.coverage}
    for option, value in alone.items() if args.backend != "software" else ():
        if value is not None:
            raise UsageError(
                f"{option} goes with --backend software alone: a simulator's state is its own. "
                "Leave it out."
            )


def stream(args: argparse.Namespace) -> int:
    """``snn-ssm stream``: a line of values a step in, a line an answer out."""
    from export.description.storage import load_network
    from export.streaming import front_end
    from export.streaming.lines import values_of

    _check(args)
    network = load_network(args.network)
    front = front_end(network, endless=args.endless)
    if front is not None and not args.quiet:
        print(front.words(), file=sys.stderr)
    written = _Written(network, args.answers)
    spent, slowest, count = 0.0, 0.0, 0
    with _BACKENDS[args.backend](args, network, front) as session, _source(args) as (lines, out):
        print(_HEADER, file=out, flush=True)
        for number, line in enumerate(lines, 1):
            start = time.perf_counter()
            values: Any = np.array(values_of(line, number))[:, None]
            values = values if front is None else front.steps(values)
            count += values.shape[1]
            answers = session.steps(values) if values.shape[1] else []
            took = time.perf_counter() - start
            spent, slowest = spent + took, max(slowest, took if number > 1 else 0.0)
            written.write(answers, out)
        written.write(session.rest(), out)
    if count and not args.quiet:
        mean, computed = 1e3 * spent / count, session.computed()
        of_which = "" if computed is None else f", of which {computed} were computed"
        print(
            f"{count} steps of {network.timestep:g} ms{of_which}: {mean:.3f} ms each, "
            f"{1e3 * slowest:.3f} at most after the first; real time is "
            f"{network.timestep / mean:.2g} times as long",
            file=sys.stderr,
        )
    return 0


class _Written:
    """Writes those of the answers that are asked for."""

    def __init__(self, network: Network, which: str) -> None:
        self._network, self._which = network, which
        self._last: Answer | None = None

    def write(self, answers: list[Answer], out: TextIO) -> None:
        for answer in answers:
            if _told(self._network, self._which, answer, self._last):
                print(_line(self._network, answer), file=out, flush=True)
            self._last = answer


def _told(network: Network, which: str, answer: Answer, last: Answer | None) -> bool:
    """Whether an answer is written: each, each final one, or each that differs from the last."""
    if which == "every":
        return True
    ended = last is None or last.sample != answer.sample
    if which == "final":
        return answer.final and (ended or not last.final)  # type: ignore[union-attr]
    return ended or _decided(network, last) != _decided(network, answer)  # type: ignore[arg-type]


def _line(network: Network, answer: Answer) -> str:
    sure = "" if np.isnan(answer.confidence) else f"{answer.confidence:.4f}"
    said = " ".join(map(str, _decided(network, answer)))
    return f"{answer.sample},{answer.step},{said},{sure},{int(answer.final)}"


def _decided(network: Network, answer: Answer) -> list[Any]:
    """The number of a class; or K labels or values."""
    return list(np.atleast_1d(decide(network, answer.scores[None])[0]).tolist())


@contextlib.contextmanager
def _source(args: argparse.Namespace) -> Iterator[tuple[Iterator[str], TextIO]]:
    """The lines, and where the answers go."""
    from export.streaming.lines import caller, grown, lines_of

    if args.listen is not None:
        with caller(args.listen) as connection:
            yield lines_of(connection), connection
    else:
        yield (lines_of(sys.stdin) if args.follow is None else grown(args.follow)), sys.stdout
