"""What SpiNNaker 2 would do: integer sums of 8-bit weights, neurons in float32.

Every population runs over the whole sequence before the next. Sums of integers are exact in any
order. Native populations are our own core's (:mod:`.own`). py-spinnaker2's neurons all run from
tick 0 on: one whose threshold is below 0 spikes at rest, and what it sends before its first step is
in the state of those after it. Here such populations run ``latency`` ticks more, in front.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.multiplicity import in_units
from export.description.network import Network, NetworkError
from export.samples.inputs import as_samples, encode
from export.samples.multiplicity import counted
from export.samples.recording import Recording, concatenate
from export.spinnaker2.neurons import NEURONS
from export.spinnaker2.own import run_own
from export.spinnaker2.plan import Spinnaker2Plan, plan_network
from pynn_models.spinnaker2 import Float32Array

NAME = "spinnaker2-software"
_BATCH = 25  # samples at once
_VALUES = 2**24  # of one population at once: 64 MiB


def runner(
    network: Network,
) -> Callable[[NDArray[Any], Collection[str]], Recording]:
    """A function of samples (B, channels, steps) and names of populations whose membranes to keep.

    Membranes are multiplied by the scale again. Logits come from spike counts, on the host, where
    they are linear in the spikes: such a readout has no neurons there, and its membrane is refused
    with ``NetworkError``. Raises as :func:`plan_network`.
    """
    units = in_units(network)
    plan = plan_network(units)
    part = _own if NEURONS[units.cells].model is None else _standard
    at_once = _at_once(units)

    def run(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        for name in membranes:
            network.population(name)
            if name not in plan.parameters:
                raise NetworkError(
                    f"population {name!r} does not spike, and SpiNNaker 2 is given only what "
                    "does. Ask for a layer."
                )
        checked = as_samples(network, samples)
        return counted(network, concatenate([
            part(units, plan, checked[i : i + at_once], membranes)
            for i in range(0, len(checked), at_once)
        ]))

    return run


def _at_once(network: Network) -> int:
    """Samples whose sums at all receptors of a population are below ``_VALUES`` numbers."""
    widest = max(len(p.receptors) * p.size for p in network.populations)
    return max(min(_BATCH, _VALUES // (network.steps * widest)), 1)


def _own(
    network: Network, plan: Spinnaker2Plan, samples: NDArray[Any], membranes: Collection[str]
) -> Recording:
    ran = run_own(network, plan, encode(network, samples), membranes)
    spikes = {p.name: ran.spikes[p.name] for p in network.layers}
    kept = {n: ran.membranes[n].astype(np.float64) * plan.scale[n] for n in membranes}
    return Recording(NAME, network.timestep, spikes, kept)


def _standard(
    network: Network, plan: Spinnaker2Plan, samples: NDArray[Any], membranes: Collection[str]
) -> Recording:
    neurons = NEURONS[network.cells]
    # (B, latency + L, size)
    emitted = {network.source.name: encode(network, samples).astype(np.float32)}
    spikes, traces = {}, {}
    for name, parameters in plan.parameters.items():
        lead = network.population(name).latency
        shape = (len(samples), lead + network.steps, plan.scale[name].size)
        weights = {p.source: plan.weights[p] for p in network.incoming(name)}
        positive, negative = (_sum(emitted, weights, sign, shape) for sign in (1, -1))
        fired, trace = neurons.run(parameters, positive, negative, name in membranes)
        spikes[name], emitted[name] = fired[:, lead:], fired.astype(np.float32)
        if name in membranes:
            traces[name] = trace[:, lead:].astype(np.float64) * plan.scale[name]
    return Recording(NAME, network.timestep, spikes, traces)


def _sum(
    emitted: dict[str, Float32Array], weights: Any, sign: int, shape: tuple[int, int, int]
) -> Float32Array:
    """``sum_i s_i max(0, sign w_ih)``, (B, ticks, H): integers below 2^24, exact in float32.

    A source of fewer ticks is that much nearer to the input: its last one arrives in the last.
    """
    total = np.zeros(shape, np.float32)
    for source, stored in weights.items():
        part = np.maximum(sign * stored.astype(np.float32), 0)
        total[:, shape[1] - emitted[source].shape[1] :] += emitted[source] @ part
    return total
