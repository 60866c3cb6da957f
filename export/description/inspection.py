"""What a network consists of, in numbers: the text that ``snn-ssm inspect`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from export.description.encodings.quantised import ends, units
from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
    gate_receptor,
    value_receptor,
)
from export.description.quantisation import KEY, Lost
from pynn_models.branches import BRANCHES
from pynn_models.cells import Branches
from snn_ssm.kinds.outputs import OUTPUTS

_CHANNELS = 8  # of a quantised input that are told one by one


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


class Bound(NamedTuple):
    """The largest |u| and |y| of a population for input in range, over neurons and steps."""

    u: float
    y: float


def bounds(network: Network) -> dict[str, Bound]:
    """Per population, what |u| and |y| cannot exceed::

        |u| <= max_h |bias_h| + sum_pre |w| peak + sum_p |b_p|
        |b_p| <= |v_p| (glu),  gain (|v_p| |g_p| + |shift|) (gsu)
        |y| <= max|u| max_h (|d| + sum_n |c_n| / (1 - |abar_n|)) + kick

    where a peak is the most spikes of a step, and kick what a soft reset adds at most.
    For modes that do not leak, after one sample: ``steps`` in place of ``1 / (1 - |abar_n|)``.
    Of event-based gated units u is what arrives at the input alone, and |y| <= 1.
    Infinite for real-valued input, whose range is not known.
    """
    found: dict[str, Bound] = {}
    for population in network.populations:
        u = np.abs(population.cell.bias) + _arriving(network, population, INPUT_RECEPTOR, found)
        if population.branches is not None:
            for p in range(population.branches.count):
                u = u + _branch(network, population, population.branches, p, found)
        largest = float(u.max())
        found[population.name] = Bound(largest, _membrane(network, population, largest))
    return found


def _branch(
    network: Network, population: Population, branches: Branches, p: int,
    found: Mapping[str, Bound],
) -> FloatArray:
    """The bound of |b_p|, (H,)."""
    value, gate, shift, gain = (
        np.abs(m[:, p])
        for m in (branches.value_bias, branches.gate_bias, branches.shift, branches.gain)
    )
    value = value + _arriving(network, population, value_receptor(p), found)
    gate = gate + _arriving(network, population, gate_receptor(p), found)
    return BRANCHES[branches.kind].bound(value, gate, shift, gain)


def _arriving(
    network: Network, population: Population, receptor: str, found: Mapping[str, Bound]
) -> FloatArray:
    """``sum_pre |w| peak`` of what reaches a receptor, (H,)."""
    source, total = network.source, np.zeros(population.size)
    for projection in network.incoming(population.name, receptor):
        weights = np.abs(projection.weights)  # (pre, post)
        if projection.source == source.name:
            total = total + source.kind.reach(source, weights.T)
        else:
            total = total + weights.sum(axis=0) * _peak(network, projection, found)
    return total


def _peak(network: Network, projection: Projection, found: Mapping[str, Bound]) -> float:
    """The most that a source sends in a step: spikes, or a membrane."""
    source = network.population(projection.source)
    if not projection.graded:
        return source.levels
    if source.kind.events:  # whose bound is that of any input, so that it may be in a loop
        return _membrane(network, source, 0.0)
    return found[source.name].y


def _membrane(network: Network, population: Population, largest: float) -> float:
    """``max_h (|d| + sum_n |c_n| / (1 - |abar_n|)) |u|``, and what a soft reset adds.

    A leaky neuron is one mode of c = 1.
    """
    cell, kind = population.cell, population.kind
    gain = kind.gain(cell, network.timestep, network.steps).max()
    kick = kind.kick(cell, network.timestep, network.steps).max()
    return float(kick if gain == 0 else largest * gain + kick)  # largest may have no bound


def _span(values: Any, digits: int = 3) -> str:
    finite = np.asarray(values)[np.isfinite(values)]
    if finite.size == 0:
        return "-"
    return f"{finite.min():.{digits}g} .. {finite.max():.{digits}g}"


def _row(population: Population, bound: Bound) -> list[object]:
    """A population in numbers."""
    kind, linear = population.kind, population.kind.linear(population.cell)
    return [
        population.name, population.size, kind.modes(population.cell), population.latency,
        _span(linear.tau), "-" if linear.omega is None else _span(linear.omega),
        f"{bound.u:.3g}", f"{bound.y:.3g}",
    ]


def _label(projection: Projection) -> str:
    """Source, target, and the receptor where it is not the input."""
    label = f"{projection.source} -> {projection.target}"
    notes = [projection.receptor] if projection.receptor != INPUT_RECEPTOR else []
    notes += ["graded"] if projection.graded else []
    return f"{label} ({', '.join(notes)})" if notes else label


def _delay(projection: Projection) -> int | list[int]:
    """The delay, or the shortest and the longest one, in steps."""
    if isinstance(projection.delay, int):
        return projection.delay
    return [projection.shortest_delay, projection.longest_delay]


def _words(delay: int | list[int]) -> str:
    return str(delay) if isinstance(delay, int) else " .. ".join(map(str, delay))


def summary(network: Network) -> dict[str, Any]:
    """The numbers of :func:`describe`: populations, projections, ranges; latencies in steps."""
    limits = bounds(network)
    return {
        "timestep": network.timestep,
        "steps": network.steps,
        **input_entry(network),
        "populations": [
            {
                "name": p.name, "neurons": p.size, "modes": p.kind.modes(p.cell),
                "latency": p.latency, "max_u": limits[p.name].u, "max_y": limits[p.name].y,
            }
            for p in network.populations
        ],
        "projections": [
            {
                "source": p.source, "target": p.target, "receptor": p.receptor,
                "synapses": p.n_synapses, "delay": _delay(p), "graded": p.graded,
            }
            for p in network.projections
        ],
    }


def _answers(network: Network) -> str:
    """What is answered, and how often."""
    readout, names = network.readout, network.names
    named = f" ({', '.join(names)})" if "names" in network.origin else ""
    when = " at each step" if readout.each_step else ""
    return f"{len(names)} {readout.output}{when}{named}"


def input_entry(network: Network) -> dict[str, Any]:
    """``input`` of :func:`summary`; of a quantised one its units, and what it lost of samples."""
    source = network.source
    found: dict[str, Any] = {"encoding": source.encoding, "sources": source.size}
    if source.kind.fractions:
        found |= {"bits": source.bits, "fraction": list(source.fraction)}
    return {"input": found | quantiser_entry(network)}


def quantiser_entry(network: Network) -> dict[str, Any]:
    """``quantiser``: what it lost of the samples that it was made for, where somebody said."""
    return {KEY: network.origin[KEY]} if KEY in network.origin else {}


def quantiser_lines(network: Network) -> list[str]:
    """What a quantised input can be, and what it lost of the samples that it was made for."""
    source = network.source
    if not source.kind.fractions:
        return []
    low, high = (units(source)[:, 0] * end for end in ends(source.bits))
    shown = [
        f"{a:g} to {b:g}, rounded by {half:.3g} at most"
        for a, b, half in zip(low, high, units(source)[:, 0] / 2, strict=True)
    ]
    several = len(dict.fromkeys(shown)) > 1
    lines = [
        f"quantised to {source.bits} bits{f', channel {c}' if several else ''}: {words}"
        for c, words in enumerate(shown[: _CHANNELS if several else 1])
    ]
    lines += [f"... {len(shown) - _CHANNELS} more channels"] * (several and len(shown) > _CHANNELS)
    if KEY in network.origin:
        lines.append(f"quantised, {Lost.of_entry(network.origin[KEY]).words()}")
    return lines


def describe(network: Network) -> str:
    """Populations, projections, delays, latency, synapses and ranges, as text."""
    source, limits = network.source, bounds(network)
    synapses = sum(p.n_synapses for p in network.projections)
    lines = [
        f"timestep {network.timestep:g} ms, {network.steps} steps a sample, readout by "
        f"{network.readout.pooling} pooling of {_answers(network)}",
        f"input {source.name!r}: {source.channels} channel(s) of {source.kind.words(source)} as "
        f"{source.encoding}, {source.size} source(s)",
        *quantiser_lines(network),
        "",
        table(
            ["population", "neurons", "modes", "latency", "tau (ms)", "omega (rad/ms)",
             "max |u|", "max |y|"],
            [_row(p, limits[p.name]) for p in network.populations],
        ),
        "",
        table(
            ["projection", "synapses", "delay", "weights"],
            [
                [_label(p), p.n_synapses, _words(_delay(p)), _span(p.synapses().weights)]
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
    kind = OUTPUTS[result["output"]]
    rows = [
        [
            name,
            kind.headline(found).removeprefix("accuracy "),
            f"{found['mismatched_spikes']:,}",
            f"{found['seconds']:.1f}",
        ]
        for name, found in result["backends"].items()
    ]
    lines = [
        f"{result['samples']} samples, {result['spikes']:,} spikes of the reference "
        f"{result['reference']!r}, spike rate {result['spike_rate']:.3f}",
        "",
        table(
            ["backend", "answers" if kind.vector else "accuracy", "mismatched spikes", "seconds"],
            rows,
        ),
        "",
    ]
    lines += [f"{row} {'holds' if ok else 'FAILS'}" for row, ok in result["contract"].items()]
    if "E5" in result:
        found = result["E5"]
        lines.append(
            f"   training's float32 convolution: {found['mismatched_spikes']:,} mismatched "
            f"spikes, the same {'answer' if kind.vector else 'class'} on {found['same_class']:.2%}"
        )
    if result.get("quantiser"):
        lines += [f"   {line}" for line in quantised_words(result)]
    if result.get("ties"):
        lines.append(_ties(result["ties"]))
    for name, found in result["backends"].items():
        first = found["first_divergence"]
        if first:
            lines.append(
                f"{name} first differs in sample {first['sample']}, {first['layer']}, neuron "
                f"{first['neuron']}, step {first['step']}: reference membrane "
                f"{first['reference']}, here {first['value']}, margin {first['margin']}"
                + (f"; the cause is its {first['cause']}" if first.get("cause") else "")
            )
    return "\n".join(lines)


def quantised_words(result: Mapping[str, Any]) -> list[str]:
    """What a quantised input changed in samples, and in answers where the model was run."""
    found, kind = result["quantiser"], OUTPUTS[result["output"]]
    entry = {k: v for k, v in found.items() if k not in ("same_class", "real")}
    lines = [f"input quantised, {Lost.of_entry(entry).words()}"]
    if "real" in found:
        lines.append(
            f"the trained model on values as they are: {kind.headline(found['real'])}, the same "
            f"{'answer' if kind.vector else 'class'} on {found['same_class']:.2%}"
        )
    return lines


def _ties(found: Mapping[str, Any]) -> str:
    """How many membranes are at their threshold, and what became of them."""
    differ = ", ".join(f"{n:,} of {name}" for name, n in found["mismatched_spikes"].items() if n)
    among = f"; mismatched spikes among them: {differ}" if differ else ""
    return f"ties: {found['membranes']:,} membranes are at their threshold but for rounding{among}"
