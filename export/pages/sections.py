"""The sections of the report that are figures: each checks what it is given before it draws."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.pages.answer_figures import plot_margins, plot_spike_rates
from export.pages.figures import plot_membranes, plot_spike_density
from export.pages.findings import layers as layer_rows
from export.pages.findings import of
from export.pages.mode_figures import find_layer, linear_part, plot_kernels, plot_modes
from export.pages.page import Drawing, Section
from export.pages.single import single
from export.samples.recording import Recording


def spikes(
    network: Network,
    inputs: NDArray[Any],
    recording: Recording,
    sample: int,
    verification: Mapping[str, Any],
) -> Section:
    """The spikes of one sample, and every layer's rate over all of them."""
    plot_spike_density(network, inputs, recording, sample)  # refuses what does not fit
    layers = of(verification, "layers")
    rates = {p.name: float(of(of(layers, p.name), "spike_rate")) for p in network.layers}
    said = ", ".join(f"{name} {rate:.3f}" for name, rate in rates.items())
    count = of(verification, "samples")
    return Section("Spikes", drawings=[
        Drawing(
            lambda width: plot_spike_density(network, inputs, recording, sample, width),
            f"Input and spikes of every layer, sample {sample}, {recording.backend}: a row a "
            "neuron, stronger where more of the steps have a spike. Layers are shown on the time "
            "of the input: the delays between them are taken off.",
            f"Spike density of {len(network.layers)} layers over "
            f"{network.steps * network.timestep:g} ms of sample {sample}, below its input.",
        ),
        Drawing(
            single(partial(plot_spike_rates, rates), 0.8 + 0.32 * len(rates)),
            f"Mean spike rate of each layer over all {count} samples.",
            f"Bars: spikes per neuron and step over {count} samples: {said}.",
            half=True,
        ),
    ])


def membranes(
    network: Network,
    recording: Recording,
    membranes: Mapping[str, FloatArray],
    verification: Mapping[str, Any],
    layer: str,
    neuron: int,
    sample: int,
) -> Section:
    """One neuron on every backend, and how near all came to their thresholds."""
    population = find_layer(network, layer)
    theta = float(population.cell.theta[neuron])
    plot_membranes(membranes, theta, network.timestep)  # refuses what does not fit
    first, *others = membranes
    largest = {
        name: float(np.abs(membranes[name] - membranes[first]).max(initial=0.0)) for name in others
    }
    said = "; ".join(f"{name} differs by at most {size:.2g}" for name, size in largest.items())
    drawings = [
        Drawing(
            lambda width: plot_membranes(membranes, theta, network.timestep, width),
            f"Membrane of neuron {neuron} of {layer}, sample {sample}: above as {first} has it, "
            "below what the others differ by. The neuron spikes at each step at which y > θ, and a "
            f"spike {population.kind.after_spike(population.cell)}.",
            f"Membrane of neuron {neuron} of {layer} over {network.steps} steps, threshold "
            f"{theta:g}; {said or 'one backend only'}.",
        )
    ]
    margins = {
        p.name: p.kind.distance(p.cell, np.asarray(recording.membranes[p.name])[[sample]])[0]
        for p in network.layers
        if p.name in recording.membranes
    }
    if any((np.isfinite(values) & (values != 0)).any() for values in margins.values()):
        drawings.append(
            Drawing(
                single(partial(plot_margins, margins), 3.0),
                f"How near the membranes of sample {sample} come to their thresholds. What is far "
                "above the rounding of float64 cannot turn a spike.",
                "Histogram of the distances of membranes from their thresholds, a line a layer, on "
                "logarithmic axes.",
                half=True,
            )
        )
    tables = [layer_rows(network, verification)]
    return Section("Membranes and margins", tables=tables, drawings=drawings)


def modes(network: Network, layer: str) -> list[Section]:
    """Time constants, rotations and, of more steps than one, kernels; none without modes."""
    modes = sum(linear_part(p).tau.size for p in network.layers)
    if modes == 0:
        return []
    drawings = [
        Drawing(
            single(partial(plot_modes, network), 3.8),
            "Time constant and rotation of every mode, each a leaky, rotating state of a neuron. "
            "Slow modes remember, fast rotations tell near steps apart.",
            f"Scatter of {modes} modes by time constant (ms) and rotation (rad/ms), a colour a "
            "layer.",
        ),
    ]
    if network.steps > 1:
        drawings.append(Drawing(
            single(partial(plot_kernels, network, layer), 1.0 + 0.42 * 8),
            f"Kernels of {layer}: the membrane after a unit input at lag 0, each line scaled to "
            "its largest value after lag 0 (on the right, with K[0], which includes the "
            "feedthrough d).",
            f"Impulse responses of up to 8 neurons of {layer} over {network.steps} steps.",
        ))
    return [Section("Modes", drawings=drawings)]
