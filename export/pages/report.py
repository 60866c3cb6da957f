"""The report of a network: what ``verify`` found, how it looks, and what it was made of.

Its parts are in :mod:`export.pages.findings`, :mod:`export.pages.sections` and
:mod:`export.pages.board_budget`; :mod:`export.pages.page` makes a page of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.inspection import quantiser_lines
from export.description.network import FloatArray, Network
from export.pages import sections
from export.pages.answer_sections import Answers, answers
from export.pages.board_budget import board_section
from export.pages.figure_style import ReportError
from export.pages.findings import comparison, listed, of, verdict
from export.pages.mode_figures import find_layer, linear_part
from export.pages.page import Section, html_report
from export.samples.recording import Recording


def write_report(
    path: Path,
    network: Network,
    samples: NDArray[Any],
    labels: NDArray[Any],
    predictions: NDArray[Any],
    recording: Recording,
    membranes: Mapping[str, FloatArray],
    verification: Mapping[str, Any],
    *,
    layer: str,
    neuron: int,
    sample: int = 0,
    provenance: Mapping[str, str] | None = None,
    lengths: NDArray[np.int64] | None = None,
    title: str = "",
) -> None:
    """Write the report of ``network``: what ``verify`` found, and the figures.

    ``samples`` (B, C, L), ``labels`` and ``predictions`` (B,), or of their output's shapes, and
    ``lengths`` (B,) are those that were compared;
    ``recording`` is of them or of the first few. Number ``sample`` is drawn; ``membranes``, name
    of the backend -> (L,), are those of ``neuron`` of ``layer`` in it, and the kernels are that
    layer's. ``verification`` is what ``verify --json`` writes; ``provenance`` says what the
    report was made of: name -> text; ``title``: in place of the task's name.
    Raises: :class:`ReportError` for anything that is missing or does not fit.
    """
    if not 0 <= sample < len(samples):
        raise ReportError(
            f"there is no sample {sample}; expected 0 to {len(samples) - 1}. Give more samples, or "
            "draw one of these."
        )
    cell = find_layer(network, layer).cell
    if not 0 <= neuron < cell.n_neurons:
        raise ReportError(
            f"there is no neuron {neuron} in {layer!r}; expected 0 to {cell.n_neurons - 1}. "
            "Draw one of these."
        )
    parts = [
        comparison(verification),
        answers(Answers(network, samples, labels, predictions, lengths)),
        sections.spikes(network, samples[sample], recording, sample, verification),
        sections.membranes(network, recording, membranes, verification, layer, neuron, sample),
        *sections.modes(network, layer),
        board_section(network, samples),
        Section(
            "Where this comes from",
            [_description(network), "Versions: " + listed(of(verification, "versions")) + "."],
            [[{"what": k, "which": v} for k, v in (provenance or {}).items()]],
        ),
    ]
    task = network.origin.get("task", {}).get("name", "network")
    html_report(path, f"snn-ssm report: {title or task}", verdict(verification), parts)


def _description(network: Network) -> str:
    """The network in one sentence."""
    neurons = sum(p.size for p in network.populations)
    synapses = sum(p.n_synapses for p in network.projections)
    modes = sum(linear_part(p).tau.size for p in network.populations)
    layers = len({p.latency for p in network.layers})  # a ternary one is two populations
    source = network.source
    quantised = "".join(f" {line[0].upper()}{line[1:]}." for line in quantiser_lines(network))
    return (
        f"Network: {layers} layers, {neurons:,} neurons (readout included), {modes:,} modes, "
        f"{synapses:,} synapses; input of {source.channels} channel(s) as {source.encoding}; "
        f"{network.steps} steps of {network.timestep:g} ms a sample.{quantised}"
    )


