"""A network as a NIR graph: the continuous model for every reader, the exact one for ours.

Nodes say what NIR defines, in seconds: linear maps, leaky integrators, thresholds, delays. A value
that a node sends is held for one step ``dt``; what arrives ``lag`` steps later passes a ``Delay``
of ``lag dt``, and what arrives in the same step none, whatever a simulator's latencies are. What
NIR does not fix stands in ``metadata``: of modes their exact discrete poles; of the graph the
timestep, the parameters of the cells and the description of the network (its schedule, encoding,
readout), so that :mod:`export.interchange.stamp` rebuilds the network to the last bit.
Source: Pedersen et al. 2024, *Neuromorphic intermediate representation*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population, Projection
from export.description.storage import parts_of
from export.interchange.cells import CELLS, Ports
from export.interchange.errors import InterchangeError
from export.interchange.package import nir
from export.interchange.packing import is_weight, packed

SCHEMA = 1
OURS = "snn-ssm"
_MILLI = 1e-3


class Draft:
    """A graph in the making: nodes by name, and the edges between them.

    ``dt``: the timestep in s, ``timestep``: in ms.
    """

    def __init__(self, timestep: float) -> None:
        self.nir = nir()
        self.timestep, self.dt = timestep, timestep * _MILLI
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def seconds(self, tau: FloatArray) -> FloatArray:
        """Time constants in ms, in seconds."""
        return tau * _MILLI

    def add(self, name: str, node: Any) -> str:
        """Take a node in; the name that it got, since HDF5 parts names at ``/`` and ends at ``.``.
        """
        plain = "".join("_" if c in "/." else c for c in name)
        found, number = plain, 2
        while found in self.nodes:
            found, number = f"{plain}_{number}", number + 1
        self.nodes[found] = node
        return found

    def join(self, source: str, target: str) -> None:
        """An edge."""
        self.edges.append((source, target))

    def size(self, name: str) -> int:
        """How many values a node sends."""
        return int(self.nodes[name].output_type["output"][0])


def to_nir(network: Network) -> Any:
    """The graph of a network, a ``nir.NIRGraph``.

    Raises :class:`InterchangeError` naming the first population or projection that NIR cannot say,
    before anything is made, and where nir is not installed.
    """
    _check(network)
    draft, source = Draft(network.timestep), network.source
    sends = {source.name: draft.add(source.name, draft.nir.Input(np.array([source.size])))}
    ports = {p.name: CELLS[p.kind.name].write(draft, p) for p in network.populations}
    wires = _Wires(draft, network, ports, sends | _spikes(ports))
    for population in network.populations:
        wires.receive(population)
    _end(draft, network, ports)
    description, arrays = parts_of(network)
    kept = {k: v for k, v in arrays.items() if not is_weight(k)}
    metadata = {
        "written_by": OURS, "schema": SCHEMA, "semantics": OURS, "dt": draft.dt,
        "network": json.dumps(description), "projections": json.dumps(wires.written),
        **packed(kept),
    }
    return draft.nir.NIRGraph(draft.nodes, draft.edges, metadata=metadata)


def _check(network: Network) -> None:
    for population in network.populations:
        kind = population.kind.name
        fault = CELLS[kind].fault(population.cell) if kind in CELLS else f"its kind, {kind}"
        if fault:
            units = "write it with --units (in_units), " if population.levels > 1 else ""
            raise InterchangeError(
                f"population {population.name!r}: NIR has no node for {fault}. Train without it, "
                f"{units}or hand on the network's own files, network.json and arrays.safetensors."
            )


def _spikes(ports: Mapping[str, Ports]) -> dict[str, str]:
    return {name: found.spikes for name, found in ports.items() if found.spikes is not None}


class _Wires:
    """The projections: linear maps, and delays; ``written``: by projection, lag and node of each.
    """

    def __init__(
        self, draft: Draft, network: Network, ports: Mapping[str, Ports], sends: Mapping[str, str]
    ) -> None:
        self.draft, self.network, self.ports, self.sends = draft, network, ports, sends
        self.written: list[list[tuple[int, str]]] = [[] for _ in network.projections]
        self._late: dict[tuple[str, int], str] = {}

    def receive(self, population: Population) -> None:
        """All that a population receives, its constant current with the first of it."""
        bias = population.cell.bias if population.cell.bias.any() else None
        for i, projection in enumerate(self.network.projections):
            if projection.target != population.name:
                continue
            lead = self.network.lead(projection)
            for lag, weights in projection.by_lag(lead, projection.weights):
                self.written[i].append((lag, self._map(projection, lag, weights.T, bias)))
                bias = None
        if bias is not None or not any(self.network.incoming(population.name)):
            nothing = np.zeros((population.size, self.network.source.size))
            constant = np.zeros(population.size) if bias is None else bias
            added = self.draft.add(
                f"{population.name}_bias", self.draft.nir.Affine(nothing, constant)
            )
            self.draft.join(self.sends[self.network.source.name], added)
            self._deliver(added, population.name)

    def _map(
        self, projection: Projection, lag: int, matrix: FloatArray, bias: FloatArray | None
    ) -> str:
        weight, nir = np.ascontiguousarray(matrix), self.draft.nir
        node = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
        added = self.draft.add(f"{projection.source}_to_{projection.target}", node)
        self.draft.join(self._delayed(self._sender(projection), lag), added)
        self._deliver(added, projection.target)
        return added

    def _sender(self, projection: Projection) -> str:
        if not projection.graded:
            return self.sends[projection.source]
        membrane = self.ports[projection.source].membrane
        if membrane is None:
            raise InterchangeError(
                f"{projection}: graded, but NIR's LIF and IF send no membrane. Send spikes, or use "
                "cells without a hard reset."
            )
        return membrane

    def _delayed(self, node: str, lag: int) -> str:
        if lag == 0:
            return node
        if (node, lag) not in self._late:
            time = np.full(self.draft.size(node), lag * self.draft.dt)
            added = self.draft.add(f"{node}_delay{lag}", self.draft.nir.Delay(time))
            self.draft.join(node, added)
            self._late[node, lag] = added
        return self._late[node, lag]

    def _deliver(self, node: str, target: str) -> None:
        for port in self.ports[target].inputs:
            self.draft.join(node, port)


def _end(draft: Draft, network: Network, ports: Mapping[str, Ports]) -> None:
    """An ``Output`` for the readout, and for whatever else sends to nobody."""
    shown = [ports[network.readout.population].membrane]
    heard = {source for source, _ in draft.edges}
    shown += [node for node in draft.nodes if node not in heard and node not in shown]
    for node in shown:
        if node is not None:
            size = np.array([draft.size(node)])
            draft.join(node, draft.add(f"{node}_output", draft.nir.Output(size)))
