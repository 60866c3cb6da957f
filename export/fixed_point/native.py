"""Native populations on SpiNNaker: scales, shifts, states, so that nothing overflows.

Weights, their scale g and shifts r are those of :mod:`export.fixed_point.weights`, and the neuron's
own parameters undo the scale: u' = g u, with bias' = g bias, c' = c / g, d' = d / g. The board's
integers, with the formats of :mod:`pynn_models.spinnaker.native_parameters`, are then::

    U = (exc << r_exc) - (inh << r_inh) + BIAS,   exc, inh <= 65535
    |U| <= max(|(EXC << r_exc) + BIAS|, |(INH << r_inh) - BIAS|)

where EXC, INH are what the ring buffers hold when every source spikes, saturated. The states'
exponents follow from this bound on U, which no input can exceed, calibrated or not, and from what a
reset takes when it comes at every step: a state never overflows. Shifts are at most 14, which
leaves half of U's 32 bits to the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.fixed_point.plan import Arithmetic, Arriving, Expected, Plan, Stepped
from export.fixed_point.weights import Load, WeightPlan, plan_weights, stored_load
from pynn_models.cells import Reset, StateSpaceCell
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import (
    FixedPointError,
    NativeParameters,
    net_input,
    plan_scaling,
    quantise_cell,
    run_native,
    state_reach,
)
from pynn_models.spinnaker.synapses import RING_MAX

_TOP = 14
_BIAS = 32767.0  # of 2^16, the range of U / 2^15


def is_gated(network: Network) -> bool:
    """Whether a population has gated inputs, or a projection sends membranes."""
    return any(p.branches is not None for p in network.populations) or any(
        p.graded for p in network.projections
    )


class SpinnakerNativeError(SnnSsmError):
    """A population that does not fit the native cell's formats."""


@dataclass(frozen=True, eq=False)
class NativePlan(Plan):
    """One population: scale, shifts, and ``parameters``, the cell's integers.

    ``input_bound`` (H,): of ``|U| / 2^15``, from the stored weights.
    """

    parameters: NativeParameters
    input_bound: FloatArray

    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        u = net_input(*arriving.input, self.shifts)
        found = run_native(self.parameters, u, initial=state, membrane=membrane)
        if found.membrane is None:
            return Stepped(found.spikes, state=found.state)
        exponent = -15 - self.parameters.membrane_exponent
        trace = np.ldexp(found.membrane.astype(np.float64), exponent)
        return Stepped(found.spikes, trace, state=found.state)

    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        return native_modes(network, population, self.parameters, self.scale, self.input_bound)

    def parts(self, population: Population) -> Mapping[str, tuple[NDArray[Any], NDArray[Any]]]:
        return native_parts(population, self.parameters, self.scale)


def native_modes(
    network: Network, population: Population, parameters: NativeParameters, scale: FloatArray,
    bound: FloatArray,
) -> tuple[NDArray[np.complex128], FloatArray]:
    """The poles, and log2 of the largest ``|X|`` in its own units, 0 for less than one unit.

    ``bound`` (H,): of ``|U| / 2^15``; ``scale`` g (H,): of U.
    """
    cell = scaled_cell(population.state_space, scale)
    largest = state_reach(cell, network.timestep, network.steps, bound)
    reach = np.maximum(np.ldexp(largest, parameters.gain_shift - 16), 1.0)
    return parameters.abar, np.log2(reach)


def native_parts(
    population: Population, parameters: NativeParameters, scale: FloatArray
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """r of each mode of a soft reset, complex, and a of a history: as trained, and as the board has
    them; ``scale`` g (H,): of the states."""
    found: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
    cell = population.state_space
    reset, held = cell.reset, parameters.reset
    if reset is not None and held is not None and not reset.is_hard:
        found["soft reset"] = (
            _complex(reset.r_re, reset.r_im),
            np.ldexp(1.0, -15 - parameters.state_exponent)
            * _complex(held.r_re, held.r_im) / scale[:, None],
        )  # fmt: skip
    if cell.history is not None and parameters.history is not None:
        exponent = -15 - parameters.membrane_exponent[:, None]
        found["history"] = (
            cell.history.a, np.ldexp(parameters.history.astype(np.float64), exponent)
        )  # fmt: skip
    return found


def _complex(re: NDArray[Any] | None, im: NDArray[Any] | None) -> NDArray[np.complex128]:
    return np.asarray((0 if re is None else re) + 1j * (0 if im is None else im))


def scaled_cell(cell: StateSpaceCell, scale: FloatArray) -> StateSpaceCell:
    """The same neuron for g-fold input, g (H,)::

        bias' = g bias,  r' = g r,  c' = c / g,  d' = d / g
    """
    return replace(
        cell,
        reset=None if cell.reset is None else _scaled_reset(cell.reset, scale[:, None]),
        bias=cell.bias * scale,
        c_re=cell.c_re / scale[:, None],
        c_im=None if cell.c_im is None else cell.c_im / scale[:, None],
        d=cell.d / scale,
    )


def _scaled_reset(reset: Reset, scale: FloatArray) -> Reset:
    r_re, r_im = (None if r is None else r * scale for r in (reset.r_re, reset.r_im))
    return replace(reset, r_re=r_re, r_im=r_im)


def plan_native(
    network: Network, population: Population, load: Load | None = None
) -> NativePlan:
    """The plan of a population of state-space cells, the accumulators of a readout among them.

    ``load``: of its ring buffers, for all inputs if not given. Raises
    :class:`SpinnakerNativeError`, naming population and neuron, for a cell whose readout or
    threshold is beyond every scaling.
    """
    limit = _BIAS / np.maximum(np.abs(population.cell.bias), 2.0**-100)
    plan = plan_weights(network, population, _TOP, load=load, limit=limit)
    cell = scaled_cell(population.state_space, plan.scale)
    bound = _input_bound(network, population, plan, cell.bias)
    try:
        scaling = plan_scaling(
            cell, network.timestep, input_bound=bound, steps=network.steps, input_exponent=0
        )
        parameters = quantise_cell(cell, network.timestep, scaling)
    except FixedPointError as error:
        raise SpinnakerNativeError(f"population {population.name!r}: {error}") from error
    return NativePlan(plan.scale, plan.shifts, parameters, bound)


def _input_bound(
    network: Network, population: Population, plan: WeightPlan, bias: FloatArray
) -> FloatArray:
    """The bound of the module's second equation, over 2^15, (H,)."""
    held = np.minimum(stored_load(network, population, plan), RING_MAX)
    exc, inh = (np.ldexp(sums, r - 15) for sums, r in zip(held, plan.shifts, strict=True))
    constant = np.rint(np.ldexp(bias, 15)) / 2.0**15
    return np.maximum(np.abs(exc + constant), np.abs(inh - constant))


def native_instructions(cell: StateSpaceCell) -> int:
    """``67 + 19 N``, or ``67 + 11 N`` for real modes; with a reset or a history 50 more: as
    ``benchmarks/arm_instructions.py`` prints, with what sPyNNaker's binary adds to each."""
    acts = cell.reset is not None or cell.history is not None
    return 67 + _ACTS * acts + (19 if cell.is_complex else 11) * cell.n_modes


def spike_instructions(cell: StateSpaceCell) -> int:
    """``17 + 12 N`` (real modes ``15 + 7 N``) for a soft reset, ``18 + 5 N`` (``17 + 4 N``) for a
    hard one, ``9 + 6 J`` for a history: what a spike adds, from the same benchmark."""
    added = 0
    if cell.reset is not None:
        base, slope = _RESET[cell.reset.is_hard, cell.is_complex]
        added += base + slope * cell.n_modes
    if cell.history is not None:
        added += 9 + 6 * (cell.history.steps - 1)
    return added


_ACTS = 50
_RESET = {  # hard, complex -> instructions, and those of a mode
    (False, True): (17, 12), (False, False): (15, 7), (True, True): (18, 5), (True, False): (17, 4),
}  # fmt: skip


def _plan(network: Network, population: Population, expected: Expected) -> NativePlan:
    return plan_native(network, population, expected.load)


NATIVE = Arithmetic(
    "native",
    takes=lambda network: network.cells == "native" and not is_gated(network),
    plan=_plan,
    instructions=lambda population: native_instructions(population.state_space),
    a_spike=lambda population: spike_instructions(population.state_space),
)
