"""``snn-ssm attack``: the fewest input spikes that turn an answer."""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from typing import Any

import numpy as np

from export.command.common import UsageError, require_classes, samples_of
from export.command.output import Output
from snn_ssm.progress import progress_bar


def attack(args: argparse.Namespace) -> int:
    """``snn-ssm attack``: samples that are answered rightly, each flip tried in ``software``."""
    from export.description.storage import load_network
    from export.job.inputs import arrays_of
    from export.verification.backends.torch import sensitivity_of
    from export.verification.sparse_attack import attack as attacked
    from snn_ssm.checkpoint import load_checkpoint
    from snn_ssm.files import write_atomic

    output = Output(args, "out")
    network = load_network(args.network)
    checkpoint = load_checkpoint(args.checkpoint)
    gradient = sensitivity_of(checkpoint, network)
    samples = samples_of(network, args.data, args.samples)
    require_classes(network, "snn-ssm attack", samples)
    found = []
    with progress_bar(len(samples), desc="attack") as bar:
        for sample, label in zip(samples.inputs, samples.labels, strict=True):
            found.append(attacked(network, sample, int(label), gradient))
            bar.update()
    tried = [a for a in found if len(a.flips) or not a.turned]  # else it was wrong before
    if not tried:
        raise UsageError(
            f"none of the {len(samples)} samples is answered rightly, so that there is nothing to "
            "turn. Give others, or a network that is trained."
        )
    flips = [len(a.flips) for a in tried if a.turned]
    sources = network.source.size * network.steps
    result: dict[str, Any] = {
        "samples": len(samples),
        "attacked": len(tried),
        "turned": len(flips),
        "flips": flips,
        "median_flips": float(np.median(flips)) if flips else None,
        "input_bits": sources,
    }
    output.say(
        f"{len(samples)} samples, {len(tried)} answered rightly and attacked; {len(flips)} turned"
        + (
            f" by {min(flips)} to {max(flips)} flipped input spikes, half of them by "
            f"{result['median_flips']:g} or fewer, {result['median_flips'] / sources:.3%} of "
            f"{sources}"
            if flips else ""
        )
    )  # fmt: skip
    if args.out is not None:
        inputs = np.stack([a.sample for a in found]).astype(samples.inputs.dtype)
        data = io.BytesIO()
        stored: dict[str, Any] = arrays_of(replace(samples, inputs=inputs), network)
        np.savez(data, **stored)
        write_atomic(args.out, data.getvalue())
    output.result(result)
    return 0
