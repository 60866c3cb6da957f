"""Answers before a sample ends: ``calibrate``, and the rules of ``run`` and ``stream``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.command.common import require_classes, samples_of
from export.command.output import Output
from snn_ssm.files import writable
from snn_ssm.progress import progress_bar

if TYPE_CHECKING:
    from export.description.network import Network
    from export.samples.recording import Recording
    from export.streaming import Rule


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
        spikes = counts(self.network, recording, asked)
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


def calibrate(args: argparse.Namespace) -> int:
    """``snn-ssm calibrate``: one half of the test samples says how sure answers are, the other
    how true that is."""
    from export.description.storage import load_network
    from export.lowering.network import lower
    from export.software.simulation import run
    from export.streaming import ConfidenceError, calibration, save_confidence
    from export.streaming.confidence import CONFIDENCE_FILE
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
    places = [Path(place) for place in (args.checkpoint, *args.networks)]
    for place in places:
        writable(place / CONFIDENCE_FILE)
    samples = samples_of(network, args.data, args.samples)
    require_classes(network, "snn-ssm calibrate", samples)
    calibration.check_enough((len(samples) + 1) // 2)
    steps = calibration.question_steps(network.steps)
    scores, spikes = [], []
    with progress_bar(len(samples), desc="software") as bar:
        for start in range(0, len(samples), args.batch):
            part = samples.inputs[start : start + args.batch]
            recording = run(network, part, membranes=[network.readout.population])
            scores.append(calibration.running_scores(network, part, recording, steps))
            spikes.append(counts(network, recording, steps))
            bar.update(len(part))
    every, used = np.concatenate(scores), np.concatenate(spikes)
    order = np.random.default_rng(0).permutation(len(samples))
    one, two = np.sort(order[::2]), np.sort(order[1::2])
    found = calibration.fit(network, steps, every[one], samples.labels[one], samples.source)
    rows = measured(found, every[two], used[two], samples.labels[two])
    for place in places:
        save_confidence(found, place)
    output.say(describe_rules(rows, len(two)))
    output.result({"calibrated": len(one), "measured": len(two), "rules": rows})
    return 0
