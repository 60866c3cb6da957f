"""Gated populations on SpiNNaker 2: a scale for each neuron and receptor, so that each sum of
spikes uses all of its 8 bits, and one for each neuron and graded projection.

A branch's value and gate, and the input, differ a hundredfold in size; with one scale for all the
small ones would be left with no bits. The arithmetic is :mod:`pynn_models.spinnaker2.gated`'s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population, Projection
from export.spinnaker2.neurons import cell_parameters
from export.spinnaker2.stored import stored
from pynn_models.cells import Branches
from pynn_models.spinnaker2 import FloatBranches, GatedFloats, GradedFloats


def is_gated(network: Network) -> bool:
    """Whether a population has gated inputs or sends membranes."""
    gates = any(p.branches is not None for p in network.populations)
    return gates or any(p.graded for p in network.projections)


def gated_floats(
    network: Network, population: Population
) -> tuple[dict[Projection, NDArray[np.int8]], GatedFloats]:
    """The stored weights of all that arrives at a population, and its parameters in float32."""
    cell, size = population.state_space, population.size
    weights: dict[Projection, NDArray[np.int8]] = {}
    scales, graded = [], []
    for r, receptor in enumerate(population.receptors):
        onto = network.incoming(population.name, receptor)
        scale, integers = stored([p for p in onto if not p.graded], size)
        weights |= integers
        scales.append(scale)
        for p in onto:
            if p.graded:
                scale, integers = stored([p], size)
                weights |= integers
                graded.append(GradedFloats(integers[p], scale, r))
    return weights, GatedFloats(
        cell=cell_parameters(cell, network.timestep, np.ones(size), bias=np.zeros(size)),
        bias=cell.bias,
        scale=np.stack(scales, axis=1),
        branches=_branches(population.branches),
        graded=tuple(graded),
    )


def graded_onto(network: Network, population: Population) -> list[Projection]:
    """The graded projections onto a population, in the order of its parameters."""
    onto = (network.incoming(population.name, r) for r in population.receptors)
    return [p for projections in onto for p in projections if p.graded]


def _branches(branches: Branches | None) -> FloatBranches | None:
    if branches is None:
        return None
    constants = (branches.value_bias, branches.gate_bias, branches.shift, branches.gain)
    return FloatBranches(branches.kind, *constants)
