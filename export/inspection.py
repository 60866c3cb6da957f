"""What a network consists of, in numbers: the text that ``snn-ssm inspect`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export.network import Network, Population


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of text: the first column to the left, the others to the right."""
    cells = [[str(v) for v in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def input_bound(network: Network, population: Population) -> float:
    """``max_h |bias_h| + sum_pre |w| peak``: the largest |u| of a neuron for input in range.

    Infinite for real-valued input, whose range is not known.
    """
    source = network.source
    bound = np.abs(population.cell.bias)
    for projection in network.incoming(population.name):
        peak = 1.0
        if projection.source == source.name and source.encoding == "current":
            peak = 2.0**source.bits - 1 if source.bits else np.inf
        bound = bound + np.abs(projection.weights).sum(axis=0) * peak
    return float(bound.max())


def membrane_bound(network: Network, population: Population) -> float:
    """``max|u| max_h (|d| + sum_n |c_n| / (1 - |abar_n|))``: |y| cannot exceed it.

    For the accumulators, which do not leak, after one sample: ``max|u| steps``.
    """
    cell, largest = population.cell, input_bound(network, population)
    leak = -np.expm1(-network.timestep / cell.tau)  # (H, N), 1 - |abar|
    gain = np.where(leak > 0, 1 / np.where(leak > 0, leak, 1), network.steps)
    c = np.hypot(cell.c_re, 0 if cell.c_im is None else cell.c_im)
    return largest * float((np.abs(cell.d) + (c * gain).sum(axis=1)).max())


def _span(values: Any, digits: int = 3) -> str:
    finite = np.asarray(values)[np.isfinite(values)]
    if finite.size == 0:
        return "-"
    return f"{finite.min():.{digits}g} .. {finite.max():.{digits}g}"


def describe(network: Network) -> str:
    """Populations, projections, delays, latency, synapses and ranges, as text."""
    source = network.source
    kind = f"{source.bits}-bit integers" if source.bits else "real values"
    synapses = sum(p.weights.size for p in network.projections)
    lines = [
        f"timestep {network.timestep:g} ms, {network.steps} steps a sample, readout by "
        f"{network.readout.pooling} pooling",
        f"input {source.name!r}: {source.channels} channel(s) of {kind} as {source.encoding}, "
        f"{source.size} source(s)",
        "",
        table(
            ["population", "neurons", "modes", "latency", "tau (ms)", "omega (rad/ms)",
             "max |u|", "max |y|"],
            [
                [
                    p.name, p.size, p.cell.n_modes, p.latency, _span(p.cell.tau),
                    "-" if p.cell.omega is None else _span(p.cell.omega),
                    f"{input_bound(network, p):.3g}", f"{membrane_bound(network, p):.3g}",
                ]
                for p in network.populations
            ],
        ),
        "",
        table(
            ["projection", "synapses", "delay", "weights"],
            [
                [f"{p.source} -> {p.target}", p.weights.size, p.delay, _span(p.weights)]
                for p in network.projections
            ],
        ),
        "",
        f"{sum(p.size for p in network.populations)} neurons, {synapses} synapses; latency and "
        f"delay in steps of {network.timestep:g} ms; the last layer answers "
        f"{max(p.latency for p in network.populations)} steps after the input",
    ]
    return "\n".join(lines)


def verification_table(result: Mapping[str, Any]) -> str:
    """The outcome of a verification as text: backends, contract, the first divergence."""
    rows = [
        [
            name,
            f"{found['accuracy']:.2%}",
            f"{found['mismatched_spikes']:,}",
            f"{found['seconds']:.1f}",
        ]
        for name, found in result["backends"].items()
    ]
    lines = [
        f"{result['samples']} samples, {result['spikes']:,} spikes of the reference "
        f"{result['reference']!r}, spike rate {result['spike_rate']:.3f}",
        "",
        table(["backend", "accuracy", "mismatched spikes", "seconds"], rows),
        "",
    ]
    lines += [f"{row} {'holds' if ok else 'FAILS'}" for row, ok in result["contract"].items()]
    if "E5" in result:
        found = result["E5"]
        lines.append(
            f"   training's float32 convolution: {found['mismatched_spikes']:,} mismatched "
            f"spikes, the same class on {found['same_class']:.2%}"
        )
    for name, found in result["backends"].items():
        first = found["first_divergence"]
        if first:
            lines.append(
                f"{name} first differs in sample {first['sample']}, {first['layer']}, neuron "
                f"{first['neuron']}, step {first['step']}: reference membrane "
                f"{first['reference']}, here {first['value']}, margin {first['margin']}"
            )
    return "\n".join(lines)
