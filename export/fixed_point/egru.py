"""Event-based gated recurrent units on SpiNNaker: an exponent for every sum, and nothing overflows.

The integers are those of :mod:`pynn_models.spinnaker.gated_parameters`, kind ``egru``. What a unit
sends is at most 1, so that every sum has a bound, in loops too: with r what a receptor reaches, of
spikes, values and its bias::

    2^(15 + e) r < 2^31                     e the exponent of a receptor
    first, index = e                        of update and reset, for the table
    last  = 16 + e_recurrent - e_input,     0 to 31
    index = e_input - 1                     tanh x = 2 sigmoid(2 x) - 1
    shift = 15 + w - e                      graded: of 2^-30, weights times 2^w

The readout behind them is the gated cell's (:mod:`export.fixed_point.gated`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
)
from export.fixed_point.gated import (
    FINEST,
    MOST,
    TOP,
    exponent,
    gated_instructions,
    integers,
    plan_gated,
    weight_exponent,
)
from export.fixed_point.gated_plan import GatedPlan, log2_of
from export.fixed_point.native import SpinnakerNativeError
from export.fixed_point.plan import Arithmetic, Arriving, Expected, Plan, Stepped
from export.fixed_point.reach import Reach
from export.fixed_point.weights import WeightPlan, plan_weights, spike_bound
from pynn_models.cells import EgruCell
from pynn_models.spinnaker import FixedPointError, net_input
from pynn_models.spinnaker.egru import RECEPTORS, UNIT_EXPONENT, egru_states, run_egru
from pynn_models.spinnaker.gated import gated_sums
from pynn_models.spinnaker.gated_parameters import GatedBranches, GatedParameters, GradedWeights
from pynn_models.spinnaker.native_parameters import Int32Array, IntArray

_SENT = UNIT_EXPONENT - 15  # the exponent of what a unit sends
_NAMES = (INPUT_RECEPTOR, *RECEPTORS)


@dataclass(frozen=True, eq=False)
class EgruPlan(GatedPlan):
    """One population of units; its receptors are the input, update, reset and recurrent."""

    def sums(self) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        return {"total": (np.ldexp(2.0**16, -log2_of(self.scale)), self.reach.total)}

    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        spikes = [net_input(*arriving.buffers[n], self.at(n).shifts) for n in self.names]
        spikes.append(np.zeros_like(spikes[0]))  # the gate of the second branch
        values = [arriving.graded[key] for key in self.weight_exponent]
        totals, limited = gated_sums(self.parameters, spikes, values)
        found = run_egru(self.parameters, totals, state)
        trace = np.ldexp(found.membrane.astype(np.float64), -UNIT_EXPONENT) if membrane else None
        return Stepped(found.spikes, trace, found.sent, limited + found.limited, found.state)

    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        none = np.zeros((population.size, 0))
        return none.astype(np.complex128), none

    def parts(self, population: Population) -> Mapping[str, tuple[NDArray[Any], NDArray[Any]]]:
        return {}


def plan_egru(network: Network, population: Population, expected: Expected) -> Plan:
    """The plan of units; of a population without, that of gated cells.

    Raises :class:`SpinnakerNativeError`, naming population and neuron, for one whose sums or
    constants are beyond the formats, or that receives values of one source more than once.
    """
    try:
        _check_delays(network, population)
        if not population.kind.events:
            return plan_gated(network, population, expected)
        return _Planner(network, population, expected).plan()
    except FixedPointError as error:
        raise SpinnakerNativeError(f"population {population.name!r}: {error}") from error


def _check_delays(network: Network, population: Population) -> None:
    graded = [p for p in network.incoming(population.name) if p.graded]
    twice = len({(q.source, q.receptor) for q in graded}) < len(graded)
    if twice or any(q.shortest_delay != q.longest_delay for q in graded):
        raise FixedPointError(
            "values of one source arrive at a receptor with several delays, expected one: they are "
            "read from one slot. Use the backend software or nest."
        )


class _Planner:
    """One population's exponents, in the order in which they depend on each other."""

    def __init__(self, network: Network, population: Population, expected: Expected) -> None:
        self.network, self.population, self.expected = network, population, expected
        cell = population.cell
        self.biases = dict(zip(_NAMES, (
            cell.bias, *(getattr(cell, f"{name}_bias") for name in RECEPTORS)
        ), strict=True))
        self.graded = [p for p in network.incoming(population.name) if p.graded]
        self.weights = {(q.source, q.receptor): weight_exponent(q) for q in self.graded}

    def plan(self) -> EgruPlan:
        plans = {name: self._receptor(name, FINEST) for name in ("update", "reset")}
        plans[INPUT_RECEPTOR] = self._receptor(INPUT_RECEPTOR, FINEST)
        plans["recurrent"] = self._receptor(
            "recurrent", log2_of(plans[INPUT_RECEPTOR].scale) + MOST - 16  # last <= 31
        )
        least = log2_of(plans["recurrent"].scale) + 16  # last >= 0
        if (log2_of(plans[INPUT_RECEPTOR].scale) > least).any():
            plans[INPUT_RECEPTOR] = self._receptor(INPUT_RECEPTOR, least)
        exponents = {name: log2_of(found.scale) for name, found in plans.items()}
        self._check_exponents(exponents)
        weights = {
            (source, receptor): w - np.maximum(_SENT + w - exponents[receptor] - MOST, 0)
            for (source, receptor), w in self.weights.items()
        }
        inputs = plans.pop(INPUT_RECEPTOR)
        return EgruPlan(
            inputs.scale, inputs.shifts, {name: plans[name] for name in RECEPTORS},
            self._parameters(exponents, weights), _SENT, weights, self._planned(),
        )

    def _reach(self, name: str) -> FloatArray:
        """The largest magnitude of a receptor's sum, with its bias, (H,)."""
        total = spike_bound(self.network, self.population, name) + np.abs(self.biases[name])
        for q in self.network.incoming(self.population.name, name):
            if q.graded:
                total = total + np.abs(q.weights).sum(axis=0)
        return np.asarray(total)

    def _planned(self) -> Reach:
        found = self.expected.reach[self.population.name]
        return found._replace(total=self._reach(INPUT_RECEPTOR) + self._reach("recurrent"))

    def _receptor(self, name: str, most: IntArray | int) -> WeightPlan:
        reach = self._planned().total if name == INPUT_RECEPTOR else self._reach(name)
        finest = np.minimum(exponent(reach, self.biases[name]), most)
        for (_, receptor), w in self.weights.items():
            if receptor == name:
                finest = np.minimum(finest, _SENT + w)
        limit = 2.0 ** finest.astype(np.float64)
        return plan_weights(
            self.network, self.population, TOP, load=self.expected.load, limit=limit,
            receptor=name, unweighted=limit,
        )  # fmt: skip

    def _check_exponents(self, exponents: Mapping[str, IntArray]) -> None:
        for name, least in {INPUT_RECEPTOR: 1, "update": 0, "reset": 0}.items():
            low = np.flatnonzero(exponents[name] < least)
            if len(low):
                reach = self._planned().total if name == INPUT_RECEPTOR else self._reach(name)
                raise FixedPointError(
                    f"neuron {low[0]}: its {name} reaches {reach[low[0]]:g}, expected less than "
                    f"{2 ** (16 - least)}, the range of the tables. Retrain, or use the backend "
                    "software."
                )

    def _parameters(
        self, exponents: Mapping[str, IntArray], weights: Mapping[tuple[str, str], IntArray]
    ) -> GatedParameters:
        sources = list(dict.fromkeys(q.source for q in self.graded))
        size = self.population.size
        places = {INPUT_RECEPTOR: 0, "update": 1, "reset": 2, "recurrent": 3}
        graded = tuple(
            GradedWeights(
                np.rint(np.ldexp(q.weights, weights[q.source, q.receptor])).astype(np.int16),
                (_SENT + weights[q.source, q.receptor] - exponents[q.receptor]).astype(np.int32),
                places[q.receptor],
                q.shortest_delay,
                sources.index(q.source),
            )
            for q in self.graded
        )
        bias = {
            name: integers(self.biases[name], 15 + exponents[name], f"the bias of its {name}")
            for name in _NAMES
        }
        zero = np.zeros(size, np.int32)

        def pairs(first: Int32Array | IntArray, second: Int32Array | IntArray) -> Int32Array:
            return np.stack([first, second], axis=1).astype(np.int32)

        last = 16 + exponents["recurrent"] - exponents[INPUT_RECEPTOR]
        branches = GatedBranches(
            kind="egru",
            value_bias=pairs(bias["update"], bias["recurrent"]),
            gate_bias=pairs(bias["reset"], zero),
            offset=pairs(zero, zero), gain=pairs(zero, zero),
            first=pairs(exponents["update"], zero),
            index=pairs(exponents["reset"], exponents[INPUT_RECEPTOR] - 1),
            last=pairs(zero, last),
        )  # fmt: skip
        return GatedParameters(
            cell=egru_states(cast(EgruCell, self.population.cell)), bias=bias[INPUT_RECEPTOR],
            send=zero, branches=branches, graded=graded, events=True,
        )  # fmt: skip


# As benchmarks/arm_instructions.py prints, with what sPyNNaker's binary adds to each.
_UNIT, _EVENT = 416, 20


def _instructions(population: Population) -> int:
    return _UNIT if population.kind.events else gated_instructions(population)


EGRU = Arithmetic(
    "egru",
    takes=lambda network: network.cells == "egru",
    plan=plan_egru,
    instructions=_instructions,
    a_spike=lambda population: _EVENT * population.kind.events,
    gated=True,
)
