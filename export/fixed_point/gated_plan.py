"""The plan of one gated population, and how it steps; :mod:`export.fixed_point.gated` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
)
from export.fixed_point.native import native_modes, native_parts
from export.fixed_point.plan import Arriving, Plan, Stepped
from export.fixed_point.reach import Reach
from export.fixed_point.weights import WeightPlan
from pynn_models.spinnaker import net_input, run_native
from pynn_models.spinnaker.fixed_point import INT32_MAX
from pynn_models.spinnaker.gated_parameters import GatedParameters, GradedWeights
from pynn_models.spinnaker.native_parameters import IntArray

LARGEST_INPUT = INT32_MAX / 2.0**15  # that U can be, over 2^15


def log2_of(scale: FloatArray) -> IntArray:
    """The exponents of powers of two."""
    return np.asarray(np.rint(np.log2(scale)).astype(np.int64))


@dataclass(frozen=True, eq=False)
class GatedPlan(Plan):
    """One population: scale and shifts of its input, ``receptors`` those of values and gates.

    ``parameters``: its integers; ``sent_exponent``: of what it sends to graded projections;
    ``weight_exponent``: w of each graded projection, (H,), by its source and receptor;
    ``reach``: what it was planned for.
    """

    receptors: Mapping[str, WeightPlan]
    parameters: GatedParameters
    sent_exponent: int
    weight_exponent: Mapping[tuple[str, str], IntArray]
    reach: Reach

    @property
    def sent(self) -> int:
        return self.sent_exponent

    def at(self, receptor: str) -> WeightPlan:
        return self if receptor == INPUT_RECEPTOR else self.receptors[receptor]

    @property
    def names(self) -> tuple[str, ...]:
        """The receptors, in the board's order."""
        return (INPUT_RECEPTOR, *self.receptors)

    def held(self, projection: Projection) -> FloatArray:
        if not projection.graded:
            return WeightPlan.held(self.at(projection.receptor), projection)
        exponent = self.weight_exponent[projection.source, projection.receptor]
        return np.ldexp(self._graded(projection).weights.astype(np.float64), -exponent)

    def _graded(self, projection: Projection) -> GradedWeights:
        order = list(self.weight_exponent)
        return self.parameters.graded[order.index((projection.source, projection.receptor))]

    def stored(self, projection: Projection) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        return WeightPlan.stored(self.at(projection.receptor), projection)

    def weights(self, projection: Projection) -> tuple[FloatArray, FloatArray]:
        return WeightPlan.weights(self.at(projection.receptor), projection)

    def sums(self) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        exponents = {"total": log2_of(self.scale)}
        branches = self.parameters.branches
        if branches is not None:
            values, gates = list(self.receptors.values())[::2], list(self.receptors.values())[1::2]
            exponents["value"] = np.stack([log2_of(v.scale) for v in values], axis=1)
            exponents["gate"] = np.stack([log2_of(g.scale) for g in gates], axis=1)
            exponents["product"] = branches.index.astype(np.int64)
        return {
            name: (np.ldexp(2.0**16, -e), getattr(self.reach, name))
            for name, e in exponents.items()
        }

    @property
    def all_shifts(self) -> tuple[int, ...]:
        shifts = [r for name in self.names for r in self.at(name).shifts]
        unused = 2 * self.parameters.n_receptors - len(shifts)
        return (*shifts, *[0] * unused)

    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        from pynn_models.spinnaker.gated import gated_input, sent_membranes

        spikes = [net_input(*arriving.buffers[n], self.at(n).shifts) for n in self.names]
        values = [arriving.graded[key] for key in self.weight_exponent]
        u, limited = gated_input(self.parameters, spikes, values)
        wanted = membrane or arriving.sends
        found = run_native(self.parameters.cell, u, initial=state, membrane=wanted)
        if found.membrane is None:
            return Stepped(found.spikes, limited=limited, state=found.state)
        sent = sent_membranes(self.parameters, found.membrane) if arriving.sends else None
        exponent = -15 - self.parameters.cell.membrane_exponent
        trace = np.ldexp(found.membrane.astype(np.float64), exponent) if membrane else None
        return Stepped(found.spikes, trace, sent, limited, found.state)

    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        bound = np.full(population.size, LARGEST_INPUT)
        return native_modes(network, population, self.parameters.cell, self.scale, bound)

    def parts(self, population: Population) -> Mapping[str, tuple[NDArray[Any], NDArray[Any]]]:
        return native_parts(population, self.parameters.cell, self.scale)
