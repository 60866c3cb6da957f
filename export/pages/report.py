"""The one-page HTML report of a network and of what ``verify`` found.

The page is one file: it refers to nothing outside itself, and every text is escaped. What is drawn
is in :mod:`export.pages.figures` and :mod:`export.pages.mode_figures`.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.pages.figure_style import ReportError
from export.pages.figures import (
    plot_confusion,
    plot_input_and_rasters,
    plot_membranes,
    plot_spike_rates,
)
from export.pages.mode_figures import find_layer, plot_kernels, plot_modes
from export.samples.recording import Recording
from snn_ssm.files import write_atomic

_RASTER_DPI = 150  # of what is not a line or a letter
_ROWS = {
    "E1": "convolution, scan and step agree to 1e-10 of the largest value",
    "E2": "torch step and software, float64: every spike the same",
    "E3": "software and NEST: every spike the same",
    "E4": "software in SpiNNaker arithmetic and sPyNNaker: every bit the same",
    "E5": "float32 convolution and torch step: the same class on at least 99.9 % of samples",
}
_STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 54rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #222; }
td:last-child { min-width: 12rem; }
td.number, th.number { text-align: right; }
figure { margin: 2rem 0; }
figure img { display: block; width: auto; max-width: max(100%, 36rem); height: auto; }
figcaption, li { max-width: 44rem; }
figcaption { margin-top: .5rem; color: #444; }
""".strip()


def html_report(
    path: Path,
    title: str,
    summary_rows: Sequence[Mapping[str, object]],
    figures: Sequence[tuple[Figure | Axes, str]],
    notes: Sequence[str],
) -> None:
    """Write a page: title, table of ``summary_rows`` (keys are headers), notes, figures.

    ``figures`` are pairs of a Figure, or the Axes that fill one, and a caption. Numbers stand on
    the right of their column. The file appears whole or not at all.
    Raises: :class:`ReportError` for rows with different keys, ``FileError`` for a path that cannot
    be written.
    """
    figure_parts = [_figure(i + 1, *pair) for i, pair in enumerate(figures)]
    items = "\n".join(f"<li>{html.escape(note)}</li>" for note in notes)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{_table(summary_rows)}
{f"<ul>{chr(10)}{items}{chr(10)}</ul>" if items else ""}
{chr(10).join(figure_parts)}
</main>
</body>
</html>
"""
    write_atomic(Path(path), page.encode())


def write_report(
    path: Path,
    network: Network,
    samples: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    recording: Recording,
    membranes: Mapping[str, FloatArray],
    verification: Mapping[str, Any],
    *,
    layer: str,
    neuron: int,
    sample: int = 0,
) -> None:
    """Write the report of ``network``: what ``verify`` found, and the figures.

    ``samples`` (B, C, L) and ``recording`` are of the same samples, of which number ``sample`` is
    drawn; ``membranes``, name of the backend -> (L,), are those of ``neuron`` of ``layer`` in it,
    and the kernels are that layer's. ``labels`` and ``predictions`` (M,) may be of more samples.
    ``verification`` is what ``verify --json`` writes.
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
    readout = network.population(network.readout.population)
    classes = [str(k) for k in range(readout.size)]
    rates = {name: float(spikes.mean()) for name, spikes in recording.spikes.items()}
    drawn: list[tuple[Figure | Axes, str]] = [
        (
            plot_input_and_rasters(network, samples[sample], recording, sample),
            f"Input and spikes of every layer, sample {sample}, {recording.backend}. Layers are "
            "shown on the time of the input: the delays between them are taken off.",
        ),
        (
            plot_membranes(membranes, float(cell.theta[neuron]), network.timestep),
            f"Membrane of neuron {neuron} of {layer}, sample {sample}, on every backend; Δy is the "
            "difference from the first. The neuron spikes at each step at which y > θ, and a spike "
            f"{network.population(layer).kind.after_spike}.",
        ),
        (
            plot_kernels(network, layer),
            f"Kernels of {layer}: the membrane after a unit input at lag 0, each line scaled to "
            "its largest value after lag 0 (on the right, with K[0], which includes the "
            "feedthrough d).",
        ),
        (
            plot_modes(network),
            "Time constant and rotation of every mode, each a leaky, rotating state of a neuron. "
            "Slow modes remember, fast rotations tell near steps apart.",
        ),
        (
            plot_confusion(labels, predictions, classes),
            "Confusion matrix: samples of each class by the class they were taken for; the shade "
            "is the share of the row.",
        ),
        (
            plot_spike_rates(rates),
            f"Mean spike rate of each layer over {len(samples)} samples, {recording.backend}.",
        ),
    ]
    task = network.origin.get("task", {}).get("name", "network")
    html_report(
        path, f"snn-ssm report: {task}", _summary(verification), drawn,
        [_description(network), *_findings(verification)],
    )


def _summary(verification: Mapping[str, Any]) -> list[dict[str, object]]:
    """A row a backend of what ``verify --json`` writes."""
    spikes = int(_value(verification, "spikes", "verification"))
    rows: list[dict[str, object]] = []
    for name, found in _value(verification, "backends", "verification").items():
        where = f"verification of {name!r}"
        divergence = _value(found, "first_divergence", where)
        rows.append(
            {
                "backend": name,
                "accuracy (%)": f"{100 * float(_value(found, 'accuracy', where)):.2f}",
                "spikes of the reference": f"{spikes:,}",
                "mismatched spikes": f"{int(_value(found, 'mismatched_spikes', where)):,}",
                "seconds": f"{float(_value(found, 'seconds', where)):.2f}",
                "first divergence": _listed(divergence) if divergence else "none",
            }
        )
    return rows


def _findings(verification: Mapping[str, Any]) -> list[str]:
    """The contract row by row, the samples compared, and the versions."""
    contract = _value(verification, "contract", "verification")
    notes = [
        f"{row}, {_ROWS.get(row, 'a further row of the contract')}: "
        f"{'holds' if holds else 'DOES NOT HOLD'}."
        for row, holds in contract.items()
    ]
    samples = _value(verification, "samples", "verification")
    rate = float(_value(verification, "spike_rate", "verification"))
    notes.append(f"Compared: {samples} samples, {rate:.3f} spikes per neuron and step.")
    notes.append(f"Versions: {_listed(_value(verification, 'versions', 'verification'))}.")
    return notes


def _description(network: Network) -> str:
    """The network in one sentence."""
    neurons = sum(p.size for p in network.populations)
    synapses = sum(p.weights.size for p in network.projections)
    modes = sum(p.kind.linear(p.cell).tau.size for p in network.populations)
    layers = len({p.latency for p in network.layers})  # a ternary one is two populations
    source = network.source
    return (
        f"Network: {layers} layers, {neurons:,} neurons (readout included), {modes:,} modes, "
        f"{synapses:,} synapses; input of {source.channels} channel(s) as {source.encoding}; "
        f"{network.steps} steps of {network.timestep:g} ms a sample."
    )


def _value(table: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in table:
        raise ReportError(
            f"{where} has no {key!r}; it has {', '.join(table) or 'nothing'}. Expected what "
            "'snn-ssm verify --json' writes: run it again with this version."
        )
    return table[key]


def _listed(table: Mapping[str, Any]) -> str:
    """``key value`` pairs, commas between; what is None is left out."""
    return ", ".join(f"{key} {value}" for key, value in table.items() if value is not None)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    """A table whose headers are the keys of the rows; columns of numbers are set right."""
    if not rows:
        return ""
    headers = list(rows[0])
    for i, row in enumerate(rows):
        if list(row) != headers:
            raise ReportError(
                f"row {i} of the table has the columns {', '.join(row)}; row 0 has "
                f"{', '.join(headers)}. Give every row the same keys, in the same order."
            )
    kinds = [
        ' class="number"' if all(_is_number(row[header]) for row in rows) else ""
        for header in headers
    ]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(header)}</th>'
        for header, kind in zip(headers, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(str(row[header]))}</td>"
            for header, kind in zip(headers, kinds, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _is_number(value: object) -> bool:
    try:
        float(str(value).replace(",", ""))
    except ValueError:
        return False
    return True


def _figure(number: int, drawing: Figure | Axes, caption: str) -> str:
    """A figure as an SVG image inside the page; the same figure gives the same bytes."""
    figure = drawing if isinstance(drawing, Figure) else cast(Figure, drawing.figure)
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "snn-ssm"}):
        figure.savefig(stream, format="svg", dpi=_RASTER_DPI, metadata={"Date": None})
    data = base64.b64encode(stream.getvalue()).decode()
    return (
        f'<figure><div class="wide"><img alt="Figure {number}" '
        f'src="data:image/svg+xml;base64,{data}"></div>\n'
        f"<figcaption>Figure {number}. {html.escape(caption)}</figcaption></figure>"
    )
