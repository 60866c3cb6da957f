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
    from export.streaming.confidence import Confidence
    from snn_ssm.tasks import Samples


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
    from export.streaming import ConfidenceError, calibration, save_confidence
    from export.streaming.confidence import CONFIDENCE_FILE, model_of
    from export.streaming.exits import describe_rules
    from snn_ssm.checkpoint import load_checkpoint

    output = Output(args)
    network = lower(load_checkpoint(args.checkpoint))
    places: dict[str, list[Path]] = {model_of(network): [args.checkpoint]}
    networks = {model_of(network): network}
    for path in args.networks:
        other = load_network(path)
        if other.origin.get("model_sha256") != network.origin["model_sha256"]:
            raise ConfidenceError(
                f"{path} was exported from another checkpoint than {args.checkpoint}. Export it "
                "anew, or calibrate the checkpoint that it is of."
            )
        networks.setdefault(model_of(other), other)  # a quantised input has answers of its own
        places.setdefault(model_of(other), []).append(path)
    for place in (place for found in places.values() for place in found):
        writable(place / CONFIDENCE_FILE)
    samples = samples_of(network, args.data, args.samples)
    require_classes(network, "snn-ssm calibrate", samples)
    calibration.check_enough((len(samples) + 1) // 2)
    made = {model: _calibrated(one, samples, args.batch) for model, one in networks.items()}
    quantised = []
    for model, (found, result) in made.items():
        for place in places[model]:
            save_confidence(found, place)
        if networks[model] is not network:
            output.say(f"{', '.join(map(str, places[model]))}, of a quantised input:")
            quantised.append(result | {"networks": [str(place) for place in places[model]]})
        output.say(describe_rules(result["rules"], result["measured"]))
    _, first = made[model_of(network)]
    output.result(first | ({"quantised": quantised} if quantised else {}))
    return 0


def _calibrated(
    network: Network, samples: Samples, batch: int
) -> tuple[Confidence, dict[str, Any]]:
    """What one half of the samples says of a network, and what the other half makes of that."""
    from export.software.simulation import run
    from export.streaming import calibration
    from export.streaming.exits import counts, measured

    steps = calibration.question_steps(network.steps)
    scores, spikes = [], []
    with progress_bar(len(samples), desc="software") as bar:
        for start in range(0, len(samples), batch):
            part = samples.inputs[start : start + batch]
            recording = run(network, part, membranes=[network.readout.population])
            scores.append(calibration.running_scores(network, part, recording, steps))
            spikes.append(counts(network, recording, steps))
            bar.update(len(part))
    every, used = np.concatenate(scores), np.concatenate(spikes)
    order = np.random.default_rng(0).permutation(len(samples))
    one, two = np.sort(order[::2]), np.sort(order[1::2])
    found = calibration.fit(network, steps, every[one], samples.labels[one], samples.source)
    rows = measured(found, every[two], used[two], samples.labels[two])
    return found, {"calibrated": len(one), "measured": len(two), "rules": rows}
