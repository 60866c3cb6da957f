"""A network's weights as integers of +-127, and its neurons' parameters in units of them.

    W[i, h] = q_h stored[i, h],   q_h = max_i |W[i, h]| / 127,   stored = rint(W / q_h)

over all the spikes that neuron h receives. A neuron's input, constant and threshold may be divided
by one number without changing a spike, so that each neuron has a scale of its own and uses all of
its 8 bits; a scale a population, as converters have it, is that of its largest neuron.

A network of gates, or one that sends membranes, has a q for each neuron and receptor, and for each
neuron and graded projection (:mod:`.gated`); its neurons stay in the network's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population, Projection
from export.spinnaker2.gated import gated_floats, is_gated
from export.spinnaker2.neurons import NEURONS, Parameters
from export.spinnaker2.stored import LARGEST, Spinnaker2Error, stored

__all__ = ["LARGEST", "Spinnaker2Error", "Spinnaker2Plan", "mapped", "plan_network"]


@dataclass(frozen=True, eq=False)
class Spinnaker2Plan:
    """Of each population that has neurons there, by name, in order.

    ``weights`` of each projection between them, (pre, post) int8; ``scale`` (H,): the unit of its
    membranes, q or, of a gated network, 1; ``parameters``: float32, in this unit. A neuron without
    input has q = 1.
    """

    weights: Mapping[Projection, NDArray[np.int8]]
    scale: Mapping[str, FloatArray]
    parameters: Mapping[str, Parameters]


def check(network: Network) -> None:
    """Raise :class:`Spinnaker2Error` for a network of currents, and for lags between neurons of
    py-spinnaker2."""
    if network.cells not in NEURONS:
        raise Spinnaker2Error(
            f"a network of {network.cells} cells, which no neuron for SpiNNaker 2 here is; "
            f"expected {', '.join(NEURONS)}. Use the backend software or nest, or train with one "
            "of these as model.cells."
        )
    if network.max_lag and NEURONS[network.cells].model is not None:
        raise Spinnaker2Error(
            f"a projection arrives {network.max_lag} steps later than the layers follow each "
            f"other; expected none that is recurrent or delayed with {network.cells} cells, whose "
            "connections take one step there. Use the backend nest, train with model.recurrent = "
            "false and model.delays = 0, or with model.cells = \"native\"."
        )
    if network.source.kind.currents:
        raise Spinnaker2Error(
            f"the input {network.source.name!r} is of currents; expected spikes. Export with "
            "--input bits, of real values also with --data, the training samples."
        )


def mapped(network: Network) -> list[Population]:
    """The populations that have neurons there, in order: what spikes, and what it needs.

    The readout where its scores are not linear in spikes; elsewhere the host has them from spikes.
    """
    needed = {p.name for p in network.layers}
    needed |= set() if network.linear_readout else {network.readout.population}
    for population in reversed(network.populations):
        if population.name in needed:
            needed |= {p.source for p in network.incoming(population.name)}
    return [p for p in network.populations if p.name in needed]


def plan_network(network: Network) -> Spinnaker2Plan:
    """The plan of a network; raises :class:`Spinnaker2Error` as :func:`check` and for a sum of
    weights that float32 cannot hold, ``Float32Error`` for a parameter that it cannot.
    """
    check(network)
    neurons, gated = NEURONS[network.cells], is_gated(network)
    weights: dict[Projection, NDArray[np.int8]] = {}
    scales: dict[str, FloatArray] = {}
    parameters: dict[str, Parameters] = {}
    for population in mapped(network):
        name = population.name
        if gated:
            integers, parameters[name] = gated_floats(network, population)
            scales[name] = np.ones(population.size)
        else:
            scales[name], integers = stored(network.incoming(name), population.size)
            parameters[name] = neurons.parameters(population, scales[name], network.timestep)
        weights |= integers
    return Spinnaker2Plan(weights, scales, parameters)
