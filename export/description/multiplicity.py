"""Populations that send several spikes in a step -> populations of one each, for boards.

A SpiNNaker neuron sends at most one spike in a step. D populations of the same modes, of thresholds
theta_1 to theta_D, spike as often together as one that counts its thresholds: no number changes.
That holds as long as its spikes do nothing to the neuron itself.
"""

from __future__ import annotations

from dataclasses import replace

from export.description.network import Network, NetworkError, Population, Projection
from pynn_models.cells import StateSpaceCell


class UnitsError(NetworkError):
    """A population that those of one spike each cannot stand for."""


def unit_names(population: Population) -> tuple[str, ...]:
    """The names of its populations of one spike: its own, then ``..._2`` to ``..._D``.

    ``..._n`` spikes where there are n or more.
    """
    further = (f"{population.name}_{n}" for n in range(2, population.levels + 1))
    return (population.name, *further)


def in_units(network: Network) -> Network:
    """The same network, in which no neuron sends more than one spike in a step.

    A population of D levels becomes D, of its first, second, ... threshold, which receive and send
    what it does; graded projections leave from the first one. A network without such populations is
    returned as it is. Raises :class:`UnitsError` where they act back on the neuron, for a
    population that sends differences, which no board is trusted with, and ``NetworkError`` where
    the network has one of those names already.
    """
    for population in network.populations:
        if population.differences:
            raise UnitsError(
                f"population {population.name!r}: its neurons send differences of their counts, "
                "which a receiver adds up; expected counts, since a board loses packets, and a "
                "difference that is lost is missed in all later steps. Export with "
                "--messages counts, which is the same network, or use the backend software or nest."
            )
    if all(p.levels == 1 for p in network.populations):
        return network
    names = {p.name: unit_names(p) for p in network.populations}
    names[network.source.name] = (network.source.name,)
    populations = [unit for p in network.populations for unit in _units(p)]
    projections = [unit for p in network.projections for unit in _between(p, names)]
    return replace(network, populations=tuple(populations), projections=tuple(projections))


def _units(population: Population) -> list[Population]:
    cell = population.cell
    if population.levels == 1 or not isinstance(cell, StateSpaceCell):
        return [population]
    for part in population.kind.feedback(cell):
        raise UnitsError(
            f"population {population.name!r}: its neurons send up to {population.levels} spikes in "
            f"a step and have a {part}, so that these act back on them together; expected one or "
            "the other, since on a board a neuron sends one spike, and is one of several that know "
            "nothing of each other. Use the backend software or nest."
        )
    return [
        replace(population, name=name, cell=replace(cell, theta=theta, multiplicity=None))
        for name, theta in zip(unit_names(population), cell.thresholds.T, strict=True)
    ]


def _between(
    projection: Projection, names: dict[str, tuple[str, ...]]
) -> list[Projection]:
    sources = names[projection.source]
    return [
        replace(projection, source=source, target=target)
        for source in (sources[:1] if projection.graded else sources)
        for target in names[projection.target]
    ]
