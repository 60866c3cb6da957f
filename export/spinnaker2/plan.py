"""A network's weights as integers of +-127, and its neurons' parameters in units of them.

    W[i, h] = q_h stored[i, h],   q_h = max_i |W[i, h]| / 127,   stored = rint(W / q_h)

over everything that neuron h receives. A neuron's input, constant and threshold may be divided by
one number without changing a spike, so that each neuron has a scale of its own and uses all of its
8 bits; a scale a population, as converters have it, is that of its largest neuron.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.spinnaker2.neurons import NEURONS, Parameters
from pynn_models.errors import SnnSsmError

LARGEST = 127  # of a stored weight
_EXACT = 2**24  # integers up to here are exact in float32


class Spinnaker2Error(SnnSsmError):
    """A network that SpiNNaker 2, as its public software has it, cannot be given."""


@dataclass(frozen=True, eq=False)
class Spinnaker2Plan:
    """Of each spiking population by name, in order.

    ``weights[target][source]`` (pre, post) int8; ``scale`` (H,): q; ``parameters``: float32, in
    units of q. A neuron without input has q = 1.
    """

    weights: Mapping[str, Mapping[str, NDArray[np.int8]]]
    scale: Mapping[str, FloatArray]
    parameters: Mapping[str, Parameters]


def check(network: Network) -> None:
    """Raise :class:`Spinnaker2Error` for a network of gates, of currents, of membranes sent or of
    lags, and for neurons on which spikes act back otherwise than by the reset of LIF cells."""
    if network.cells not in NEURONS:
        raise Spinnaker2Error(
            f"a network of {network.cells} cells, which no neuron for SpiNNaker 2 here is; "
            f"expected {', '.join(NEURONS)}. Use the backend software or nest, or train with one "
            "of these as model.cells."
        )
    held = network.with_feedback()
    if held is not None:
        raise Spinnaker2Error(
            f"population {held[0].name!r}: its neurons have a {held[1]}, which none for SpiNNaker "
            "2 here has; expected cells without. Use the backend software or nest."
        )
    if network.max_lag:
        raise Spinnaker2Error(
            f"a projection arrives {network.max_lag} steps later than the layers follow each "
            "other; expected none that is recurrent or delayed. Use the backend nest, or train "
            "with model.recurrent = false and model.delays = 0."
        )
    for population in network.layers:
        if population.branches is not None:
            raise Spinnaker2Error(
                f"population {population.name!r} multiplies its inputs (GLU or GSU); no neuron of "
                "SpiNNaker 2's public software does. Train with model.mixing = \"linear\"."
            )
    if network.source.kind.currents:
        raise Spinnaker2Error(
            f"the input {network.source.name!r} is of currents; expected spikes. Export with "
            "--input bits, or train on integers."
        )


def plan_network(network: Network) -> Spinnaker2Plan:
    """The plan of a network; raises :class:`Spinnaker2Error` as :func:`check` and for a sum of
    weights that float32 cannot hold, ``Float32Error`` for a parameter that it cannot.
    """
    check(network)
    neurons = NEURONS[network.cells]
    weights, scales, parameters = {}, {}, {}
    for population in network.layers:
        incoming = list(network.incoming(population.name))
        largest = np.max([np.abs(p.weights).max(0, initial=0.0) for p in incoming], axis=0)
        scale = np.where(largest > 0, largest, LARGEST) / LARGEST  # (H,)
        stored = {p.source: np.rint(p.weights / scale).astype(np.int8) for p in incoming}
        sources = sum(len(w) for w in stored.values())
        if sources * LARGEST > _EXACT:
            raise Spinnaker2Error(
                f"population {population.name!r} has {sources} sources; a sum of so many weights "
                f"of {LARGEST} is not exact in float32, which takes {_EXACT // LARGEST}. Use "
                "fewer channels."
            )
        name = population.name
        weights[name], scales[name] = stored, scale
        parameters[name] = neurons.parameters(population, scale, network.timestep)
    return Spinnaker2Plan(weights, scales, parameters)
