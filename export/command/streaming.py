"""The commands in time: ``stream``, and ``calibrate``, which finds how sure answers are."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from export.command.common import UsageError, require_classes, samples_of
from export.command.output import Output
from export.samples.answers import decide
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from export.description.network import Network
    from export.samples.recording import Recording
    from export.streaming import Answer, Rule

_HEADER = "sample,step,answer,confidence,final"


def rule_from(args: argparse.Namespace, network: Network) -> Rule | None:
    """The rule of --confidence or --coverage; None without."""
    from export.streaming import load_confidence, rule_of

    if args.confidence is None and args.coverage is None:
        return None
    require_classes(network, "early exit")
    found = load_confidence(args.network, network)
    return rule_of(found, threshold=args.confidence, coverage=args.coverage)


@dataclass
class Tally:
    """Where a rule stops the samples of a run, and how right it is there."""

    network: Network
    rule: Rule
    samples: int = 0
    correct: int = 0
    steps: int = 0
    spikes: int = 0
    of: int = 0

    def add(self, samples: Any, labels: Any, recording: Recording) -> None:
        """A batch that was run whole."""
        from export.streaming import exits, running_scores
        from export.streaming.exits import counts

        asked = self.rule.steps
        found = exits(self.rule, running_scores(self.network, samples, recording, asked))
        spikes = counts(recording, asked)
        self.samples += len(labels)
        self.correct += int((found.labels == labels).sum())
        self.steps += int(found.steps.sum())
        self.spikes += int(spikes[np.arange(len(labels)), found.place].sum())
        self.of += int(spikes[:, -1].sum())

    def result(self) -> dict[str, float]:
        """Accuracy, and the share of steps and of spikes that came before."""
        return {
            "accuracy": self.correct / self.samples,
            "steps": self.steps / self.samples / self.network.steps,
            "spikes": self.spikes / max(self.of, 1),
        }

    def words(self) -> str:
        """The same as text."""
        found = self.result()
        return (
            f"stopped early: accuracy {found['accuracy']:.2%} after {found['steps']:.1%} of the "
            f"steps and {found['spikes']:.1%} of the spikes"
        )


def tally_from(args: argparse.Namespace, network: Network) -> Tally | None:
    """That of --confidence or --coverage; None without."""
    rule = rule_from(args, network)
    return None if rule is None else Tally(network, rule)


def stream(args: argparse.Namespace) -> int:
    """``snn-ssm stream``: a line of values a step in, a line an answer out."""
    from export.description.storage import load_network
    from export.streaming import Session
    from export.streaming.lines import values_of

    if args.follow is not None and args.listen is not None:
        raise UsageError("--follow and --listen are two sources. Give one of them.")
    network = load_network(args.network)
    rule = rule_from(args, network)
    session = Session(network, rule=rule, endless=args.endless)
    if args.state is not None and args.state.exists():
        session = Session.load(network, args.state, rule=rule)
    spent, slowest, count, last = 0.0, 0.0, 0, None
    try:
        with _source(args) as (lines, out):
            print(_HEADER, file=out, flush=True)
            for count, line in enumerate(lines, 1):
                start = time.perf_counter()
                answer = session.step(values_of(line, count))
                took = time.perf_counter() - start
                spent, slowest = spent + took, max(slowest, took if count > 1 else 0.0)
                if _told(network, args.answers, answer, last):
                    print(_line(network, answer), file=out, flush=True)
                last = answer
    finally:
        if args.state is not None:
            session.save(args.state)
    if count and not args.quiet:
        mean = 1e3 * spent / count
        print(
            f"{count} steps of {network.timestep:g} ms, of which {session.computed} were computed: "
            f"{mean:.3f} ms each, {1e3 * slowest:.3f} at most after the first; real time is "
            f"{network.timestep / mean:.2g} times as long",
            file=sys.stderr,
        )
    return 0


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


def calibrate(args: argparse.Namespace) -> int:
    """``snn-ssm calibrate``: one half of the test samples says how sure answers are, the other
    how true that is."""
    from export.description.storage import load_network
    from export.lowering.network import lower
    from export.software.simulation import run
    from export.streaming import ConfidenceError, calibration, save_confidence
    from export.streaming.exits import counts, describe_rules, measured
    from snn_ssm.checkpoint import load_checkpoint

    output = Output(args)
    network = lower(load_checkpoint(args.checkpoint))
    for path in args.networks:
        if load_network(path).origin.get("model_sha256") != network.origin["model_sha256"]:
            raise ConfidenceError(
                f"{path} was exported from another checkpoint than {args.checkpoint}. Export it "
                "anew, or calibrate the checkpoint that it is of."
            )
    samples = samples_of(network, args.data, args.samples)
    require_classes(network, "snn-ssm calibrate", samples)
    steps = calibration.question_steps(network.steps)
    scores, spikes = [], []
    with progress_bar(len(samples), desc="software") as bar:
        for start in range(0, len(samples), args.batch):
            part = samples.inputs[start : start + args.batch]
            recording = run(network, part, membranes=[network.readout.population])
            scores.append(calibration.running_scores(network, part, recording, steps))
            spikes.append(counts(recording, steps))
            bar.update(len(part))
    every, used = np.concatenate(scores), np.concatenate(spikes)
    order = np.random.default_rng(0).permutation(len(samples))
    one, two = np.sort(order[::2]), np.sort(order[1::2])
    found = calibration.fit(network, steps, every[one], samples.labels[one], samples.source)
    rows = measured(found, every[two], used[two], samples.labels[two])
    for directory in (args.checkpoint, *args.networks):
        save_confidence(found, directory)
    output.say(describe_rules(rows, len(two)))
    output.result({"calibrated": len(one), "measured": len(two), "rules": rows})
    return 0
