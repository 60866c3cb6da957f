"""A neuron with gated inputs in the board's integers: formats of its sums, products and shifts.

Every sum of what arrives has a scale of its own, a power of two a neuron; ``sat`` limits to 32
bits, and ``a >> s`` rounds to nearest, halves up::

    U = u 2^(15 + e_u),  V = v 2^(15 + e_v),  G = g 2^(15 + e_g)          a branch's value and gate
    total = sat(spikes + bias)
    total = sat(total + sat(sum_i W_i Y_i >> s)),  one graded projection after another

    glu:  B = sat(V sigmoid(G >> index) >> last)                         sigmoid in units of 2^-16
    gsu:  Z = sat(sat(V G >> first) + offset)
          B = sat((Z normal(Z >> index) >> 16) gain >> last)
    U = sat(U + B),  one branch after another

    egru: z = sigmoid(V_0 >> first_0),  r = sigmoid(G_0 >> index_0)      update, reset
          g = 2 sigmoid(sat(U + sat(V_1 r >> last_1)) >> index_1) - 2^16     V_1: recurrent
          v = (z h + (2^16 - z) 2^14 g) >> 16,  a spike iff v > theta,  h = v - theta after one

In the last, v, h, theta and what is sent with a spike (0 without) are in units of 2^-30, and h is
the state of one real mode.
The modes are those of :mod:`.native_parameters`, with U as their input and its bias counted
already. What a neuron sends to graded projections is ``Y >> send``, so that the whole population
has one exponent. A shift by 0 is exact.
Sums of a graded projection stay below 2^53: ``sum_i |W_i| < 2^22`` for each neuron.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker.fixed_point import FixedPointError
from pynn_models.spinnaker.native_parameters import Int32Array, NativeParameters
from pynn_models.spinnaker.tables import NORMAL, SIGMOID, HalfTable

Int16Array = NDArray[np.int16]

GRADED_LIMIT = 1 << 22  # of sum |W|
MAX_SHIFT = 31
_SHIFTS = ("first", "index", "last")


class GatedKind(NamedTuple):
    """A kind of branch on the board: its ``number`` there, 0 for none, and its table."""

    number: int
    table: HalfTable


GATED_KINDS = {
    "": GatedKind(0, SIGMOID),
    "glu": GatedKind(1, SIGMOID),
    "gsu": GatedKind(2, NORMAL),
    "egru": GatedKind(3, SIGMOID),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class GatedBranches:
    """P branches of H neurons, (H, P) int32 each; see the module. ``kind``: glu, gsu or egru (2).

    Raises `FixedPointError` for other types or shapes, and shifts outside 0 to 31.
    """

    kind: str
    value_bias: Int32Array
    gate_bias: Int32Array
    offset: Int32Array
    gain: Int32Array
    first: Int32Array
    index: Int32Array
    last: Int32Array

    def __post_init__(self) -> None:
        if self.kind not in GATED_KINDS or not GATED_KINDS[self.kind].number:
            raise FixedPointError(
                f"GatedBranches: kind is {self.kind!r}, expected one of "
                f"{', '.join(k for k in GATED_KINDS if k)}."
            )
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value.dtype != np.int32 or value.ndim != 2 or value.shape != self.gain.shape:
                raise FixedPointError(
                    f"GatedBranches: {field.name} is {value.dtype} of shape {value.shape}, "
                    f"expected int32 (H, P), {self.gain.shape} as gain."
                )
        for name in _SHIFTS:
            _check_shifts(name, getattr(self, name))

    @property
    def count(self) -> int:
        """P."""
        return int(self.gain.shape[1])


@dataclass(frozen=True, eq=False)
class GradedWeights:
    """What one graded projection brings to ``receptor`` (0 input, 1 + 2p value p, 2 + 2p gate p).

    weights (pre, H) int16; shift (H,) int32; for the board, delay in steps, and ``source``: the
    number of the population that sends, from 0 in order of appearance. Raises `FixedPointError`
    for other types or shapes, shifts outside 0 to 31 and sums of |W| that a float64 could not
    hold exactly.
    """

    weights: Int16Array
    shift: Int32Array
    receptor: int
    delay: int = 1
    source: int = 0

    def __post_init__(self) -> None:
        if self.weights.dtype != np.int16 or self.weights.ndim != 2:
            raise FixedPointError(
                f"GradedWeights: weights are {self.weights.dtype} of shape {self.weights.shape}, "
                "expected int16 (pre, post)."
            )
        if self.shift.dtype != np.int32 or self.shift.shape != self.weights.shape[1:]:
            raise FixedPointError(
                f"GradedWeights: shift is {self.shift.dtype} of shape {self.shift.shape}, expected "
                f"int32 of shape {self.weights.shape[1:]}."
            )
        _check_shifts("shift", self.shift)
        total = np.abs(self.weights.astype(np.int64)).sum(axis=0)
        if (total >= GRADED_LIMIT).any():
            raise FixedPointError(
                f"GradedWeights: neuron {int(total.argmax())} has sum |W| = {int(total.max())}, "
                f"expected less than {GRADED_LIMIT}. Scale its weights down."
            )


def _check_shifts(name: str, shifts: Int32Array) -> None:
    if ((shifts < 0) | (shifts > MAX_SHIFT)).any():
        raise FixedPointError(
            f"{name} is {int(shifts.min())} to {int(shifts.max())}, expected shifts of 0 to "
            f"{MAX_SHIFT}. Plan with other exponents."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class GatedParameters:
    """The integers of H neurons: ``cell``, their modes, of bias 0; ``bias`` (H,) int32 in units
    of U; ``branches`` and ``graded``, in the order in which they are added; ``send`` (H,) int32;
    ``events``: what its graded sources do not send is 0.

    Raises `FixedPointError` for a cell with a bias, other types or shapes, and receptors that are
    not there.
    """

    cell: NativeParameters
    bias: Int32Array
    send: Int32Array
    branches: GatedBranches | None = None
    graded: tuple[GradedWeights, ...] = ()
    events: bool = False

    def __post_init__(self) -> None:
        size = self.cell.n_neurons
        if self.cell.bias.any():
            raise FixedPointError(
                "GatedParameters: the cell has a bias of its own, expected 0: it counts before the "
                "branches. Give it as bias."
            )
        for name in ("bias", "send"):
            value = getattr(self, name)
            if value.dtype != np.int32 or value.shape != (size,):
                raise FixedPointError(
                    f"GatedParameters: {name} is {value.dtype} of shape {value.shape}, expected "
                    f"int32 ({size},)."
                )
        _check_shifts("send", self.send)
        sizes = [g.weights.shape[1] for g in self.graded]
        sizes += [] if self.branches is None else [len(self.branches.gain)]
        if set(sizes) - {size}:
            raise FixedPointError(
                f"GatedParameters: branches or graded weights of {sizes} neurons, expected {size}."
            )
        for g in self.graded:
            if not 0 <= g.receptor < self.n_receptors:
                raise FixedPointError(
                    f"GatedParameters: a graded projection onto receptor {g.receptor}, expected 0 "
                    f"to {self.n_receptors - 1}."
                )

    @property
    def source_sizes(self) -> dict[int, int]:
        """The neurons of each population that sends graded values, by its number, ascending."""
        found = {g.source: len(g.weights) for g in self.graded}
        return dict(sorted(found.items()))

    @property
    def kind(self) -> str:
        """Of the branches; empty without."""
        return "" if self.branches is None else self.branches.kind

    @property
    def n_branches(self) -> int:
        """P, 0 without branches."""
        return 0 if self.branches is None else self.branches.count

    @property
    def n_receptors(self) -> int:
        """``1 + 2 P``: the input, then value and gate of each branch."""
        return 1 + 2 * self.n_branches
