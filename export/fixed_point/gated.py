"""Gated populations on SpiNNaker: an exponent for every sum, shifts for every product.

The integers are those of :mod:`pynn_models.spinnaker.gated_parameters`. Weights of spikes are
stored as :mod:`export.fixed_point.weights` has it, with a scale a neuron and receptor; weights of
graded projections are 16 signed bits in the core's own memory. With r what a sum reaches
(:mod:`export.fixed_point.reach`)::

    2^(15 + e) r < 2^31                     e the exponent of an input, a gate, a product
    first = 15 + e_v + e_g - e_z            gsu: from value times gate to the product
    last  = 16 + e_v - e_u                  glu: from value times sigmoid to the input
    last  = s + e_z - e_u, gain 2^s         gsu: s as large as 31 bits of the gain allow
    shift = p + w - e                       graded: p of what is sent, weights times 2^w

A sum of spikes, and of gated linear units, never leaves 32 bits; a product of sums may, and is
limited to them. A state cannot overflow: it is planned for the largest U there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
    gate_receptor,
    value_receptor,
)
from export.fixed_point.gated_plan import LARGEST_INPUT, GatedPlan, log2_of
from export.fixed_point.native import (
    SpinnakerNativeError,
    is_gated,
    native_instructions,
    scaled_cell,
    spike_instructions,
)
from export.fixed_point.plan import Arithmetic, Expected
from export.fixed_point.weights import WeightPlan, plan_weights
from pynn_models.branches import BRANCHES
from pynn_models.cells import Branches, StateSpaceCell
from pynn_models.spinnaker import (
    FixedPointError,
    NativeScaling,
    plan_scaling,
    quantise_cell,
)
from pynn_models.spinnaker.fixed_point import INT32_MAX
from pynn_models.spinnaker.gated_parameters import (
    GRADED_LIMIT,
    GatedBranches,
    GatedParameters,
    GradedWeights,
)
from pynn_models.spinnaker.native_parameters import Int32Array, IntArray

TOP = 14
_RANGE = 65000.0  # of a sum over 2^15: below 65536 by more than rounded weights add
FINEST = 24  # exponents beyond gain nothing
MOST = 31  # a shift
_OWN = 16  # exponents of membranes up to here are every neuron's own
_WEIGHT_BITS = 15  # of a graded weight, without its sign


def plan_gated(network: Network, population: Population, expected: Expected) -> GatedPlan:
    """The plan of a population of a network with gated inputs or graded projections.

    Raises :class:`SpinnakerNativeError`, naming population and neuron, for a cell that is beyond
    every scaling.
    """
    try:
        return _Planner(network, population, expected).plan()
    except FixedPointError as error:
        raise SpinnakerNativeError(f"population {population.name!r}: {error}") from error


def exponent(reach: FloatArray, bias: FloatArray | float = 0.0) -> IntArray:
    """The largest e with which a sum of this reach, and twice its bias, stay in their range."""
    largest = np.maximum(np.maximum(reach, 2 * np.abs(bias)), 2.0**-100)
    exact = np.floor(np.log2(_RANGE / largest)).astype(np.int64)
    return np.asarray(np.minimum(exact, FINEST))


def integers(values: FloatArray, exponents: IntArray, what: str) -> Int32Array:
    scaled = np.rint(np.ldexp(values, exponents))
    if (np.abs(scaled) > INT32_MAX).any():
        h = int(np.abs(scaled).reshape(len(scaled), -1).max(axis=1).argmax())
        raise FixedPointError(
            f"{what} of neuron {h} is beyond 32 bits, expected less: its constants are far larger "
            "than what reaches it. Retrain, or use the backend software."
        )
    return scaled.astype(np.int32)


def weight_exponent(projection: Projection) -> IntArray:
    """w: the largest weight has 15 bits, and the sum of magnitudes stays below 2^22."""
    magnitude = np.abs(projection.weights)
    largest = np.maximum(magnitude.max(axis=0), 2.0**-60)
    total = np.maximum(magnitude.sum(axis=0), 2.0**-60)
    room = (GRADED_LIMIT - len(magnitude)) / total
    exact = np.floor(np.log2(np.minimum((2.0**_WEIGHT_BITS - 1) / largest, room)))
    return np.asarray(exact.astype(np.int64))


class _Planner:
    """One population's exponents, chosen in the order in which they depend on each other."""

    def __init__(self, network: Network, population: Population, expected: Expected) -> None:
        self.network, self.population, self.expected = network, population, expected
        self.cell = population.state_space
        self.branches = population.branches
        self.reach = expected.reach[population.name]
        self.count = 0 if self.branches is None else self.branches.count
        self.graded = [p for p in network.incoming(population.name) if p.graded]

    def plan(self) -> GatedPlan:
        weights = {self._key(p): weight_exponent(p) for p in self.graded}
        gates = self._gates(weights)  # e_g, (H, P)
        products = np.clip(exponent(self.reach.product), 0, FINEST)  # e_z
        inputs = self._input(weights)
        e_u = log2_of(inputs.scale)
        values = [
            self._value(p, e_u, gates[:, p], products[:, p], weights) for p in range(self.count)
        ]
        receptors: dict[str, WeightPlan] = {}
        for p in range(self.count):
            receptors[value_receptor(p)] = values[p]
            receptors[gate_receptor(p)] = self._gate(p, gates[:, p])
        exponents = {INPUT_RECEPTOR: e_u} | {n: log2_of(r.scale) for n, r in receptors.items()}
        for q in self.graded:  # weights of fewer bits where a shift would be too long
            excess = self._sent(q) + weights[self._key(q)] - exponents[q.receptor] - MOST
            weights[self._key(q)] = weights[self._key(q)] - np.maximum(excess, 0)
        names = [INPUT_RECEPTOR, *receptors]
        sources = list(dict.fromkeys(q.source for q in self.graded))
        graded = tuple(
            GradedWeights(
                np.rint(np.ldexp(q.weights, w)).astype(np.int16),
                (self._sent(q) + w - exponents[q.receptor]).astype(np.int32),
                names.index(q.receptor),
                q.shortest_delay,
                sources.index(q.source),
            )
            for q, w in zip(self.graded, weights.values(), strict=True)
        )
        cell = scaled_cell(self.cell, inputs.scale)
        scaling = plan_scaling(
            cell, self.network.timestep, input_bound=LARGEST_INPUT, steps=self.network.steps,
            input_exponent=0,
        )  # fmt: skip
        scaling = _sendable(scaling)
        plain = quantise_cell(_without_bias(cell), self.network.timestep, scaling)
        sent = int(scaling.membrane_exponent.min())
        parameters = GatedParameters(
            cell=plain,
            bias=integers(cell.bias, np.full(len(cell.bias), 15), "the bias"),
            send=(scaling.membrane_exponent - sent).astype(np.int32),
            branches=self._branches(exponents, products),
            graded=graded,
            events=any(self.network.population(q.source).kind.events for q in self.graded),
        )
        return GatedPlan(
            inputs.scale, inputs.shifts, receptors, parameters, sent, weights, self.reach
        )

    @staticmethod
    def _key(projection: Projection) -> tuple[str, str]:
        return projection.source, projection.receptor

    def _finest(self, receptor: str, weights: Mapping[tuple[str, str], IntArray]) -> IntArray:
        """The largest exponent of a receptor that graded projections leave: ``p + w``."""
        finest = np.full(self.population.size, FINEST, np.int64)
        for p in self.graded:
            if p.receptor == receptor:
                finest = np.minimum(finest, self._sent(p) + weights[self._key(p)])
        return finest

    def _sent(self, projection: Projection) -> int:
        return self.expected.sent[projection.source]

    def _gates(self, weights: Mapping[tuple[str, str], IntArray]) -> IntArray:
        found = np.zeros((self.population.size, self.count), np.int64)
        for p in range(self.count):
            bias = self.branches.gate_bias[:, p] if self.branches else 0.0
            exact = exponent(self.reach.gate[:, p], bias)
            found[:, p] = np.minimum(exact, self._finest(gate_receptor(p), weights))
        return found

    def _input(self, weights: Mapping[tuple[str, str], IntArray]) -> WeightPlan:
        exact = exponent(self.reach.total, self.cell.bias)
        limit = 2.0 ** np.minimum(exact, self._finest(INPUT_RECEPTOR, weights))
        return plan_weights(
            self.network, self.population, TOP, load=self.expected.load, limit=limit,
            unweighted=limit,
        )  # fmt: skip

    def _value(
        self, p: int, e_u: IntArray, e_g: IntArray, e_z: IntArray,
        weights: Mapping[tuple[str, str], IntArray],
    ) -> WeightPlan:
        """The value's scale: fine, and such that every shift behind it is one of 0 to 31."""
        bias = self.branches.value_bias[:, p] if self.branches else 0.0
        exact = exponent(self.reach.value[:, p], bias)
        exact = np.minimum(exact, self._finest(value_receptor(p), weights))
        if self._is_graded_kind():
            most = np.minimum(exact, MOST - 15 - e_g + e_z)  # first <= 31
        else:
            most = np.minimum(exact, MOST - 16 + e_u)  # last <= 31
        limit = 2.0 ** most.astype(np.float64)
        return plan_weights(
            self.network, self.population, TOP, load=self.expected.load, limit=limit,
            receptor=value_receptor(p), unweighted=limit,
        )  # fmt: skip

    def _gate(self, p: int, e_g: IntArray) -> WeightPlan:
        limit = 2.0 ** e_g.astype(np.float64)
        plan = plan_weights(
            self.network, self.population, TOP, load=self.expected.load, limit=limit,
            receptor=gate_receptor(p), unweighted=limit,
        )  # fmt: skip
        if not self._is_graded_kind() and (plan.scale < 1).any():
            h = int(plan.scale.argmin())
            raise FixedPointError(
                f"neuron {h}, branch {p}: its gate reaches {self.reach.gate[h, p]:g}, expected "
                "less than 65536, the range of s16.15. Retrain, or use the backend software."
            )
        return plan

    def _is_graded_kind(self) -> bool:
        return self.branches is not None and BRANCHES[self.branches.kind].graded

    def _branches(
        self, exponents: Mapping[str, IntArray], products: IntArray
    ) -> GatedBranches | None:
        branches = self.branches
        if branches is None:
            return None
        e_u = exponents[INPUT_RECEPTOR][:, None]
        e_v, e_g = (
            np.stack([exponents[name(p)] for p in range(self.count)], axis=1)
            for name in (value_receptor, gate_receptor)
        )
        zero = np.zeros((self.population.size, self.count), np.int32)
        biases = {
            "value_bias": integers(branches.value_bias, 15 + e_v, "the bias of a value"),
            "gate_bias": integers(branches.gate_bias, 15 + e_g, "the bias of a gate"),
        }
        if not BRANCHES[branches.kind].graded:
            return GatedBranches(
                kind=branches.kind, **biases, offset=zero, gain=zero, first=zero,
                index=e_g.astype(np.int32), last=(16 + e_v - e_u).astype(np.int32),
            )  # fmt: skip
        return GatedBranches(
            kind=branches.kind, **biases,
            offset=integers(branches.shift, 15 + products, "the shift of a product"),
            first=(15 + e_v + e_g - products).astype(np.int32),
            index=products.astype(np.int32),
            **_gain(branches, e_u, products),
        )  # fmt: skip


def _gain(branches: Branches, e_u: IntArray, e_z: IntArray) -> dict[str, Int32Array]:
    """``gain = n 2^(last + e_u - e_z)``, of as many bits as ``last`` and 32 leave."""
    magnitude = np.maximum(np.abs(branches.gain), 2.0**-60)
    room = np.floor(np.log2((INT32_MAX - 1) / magnitude)).astype(np.int64)  # of gain's exponent
    last = np.clip(room - e_u + e_z, 0, MOST)
    return {
        "gain": integers(branches.gain, last + e_u - e_z, "the gain"),
        "last": last.astype(np.int32),
    }


def _sendable(scaling: NativeScaling) -> NativeScaling:
    """Membranes that one shift brings to the exponent of those that a population sends.

    Finer ones than ``_OWN`` only as far as the shift reaches, which keeps none of their bits.
    """
    own = scaling.membrane_exponent
    return replace(scaling, membrane_exponent=np.minimum(own, max(_OWN, int(own.min()) + MOST)))


def _without_bias(cell: StateSpaceCell) -> StateSpaceCell:
    return replace(cell, bias=np.zeros_like(cell.bias), branches=None)


_MORE, _BRANCH = 63, {"glu": 150, "gsu": 178}


def gated_instructions(population: Population) -> int:
    """A native neuron's and 63; 150 a branch of ``glu``, 178 of ``gsu``: as
    ``benchmarks/arm_instructions.py`` prints, with what sPyNNaker's binary adds to each."""
    branches = population.branches
    products = 0 if branches is None else _BRANCH[branches.kind] * branches.count
    return native_instructions(population.state_space) + _MORE + products


GATED = Arithmetic(
    "gated",
    takes=lambda network: network.cells == "native" and is_gated(network),
    plan=plan_gated,
    instructions=gated_instructions,
    a_spike=lambda population: spike_instructions(population.state_space),
    gated=True,
)
