"""What arrives at a SpiNNaker core: stored weights, and their sums in the ring buffer.

::

    stored w   = rint(|w| g 2^(15 - r))                       16 bits, unsigned
    buffer[k]  = min(65535, sum of the w of the spikes of step k - delay)
    arriving   = buffer << r                                  s16.15, times g

where r is the receptor type's shift and g the cell's weight scale (1 for stock cells). All addends
are >= 0, so saturating once, at the end, equals the board, which saturates at every addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pynn_models.spinnaker.fixed_point import INT32_MAX, FixedPointError

UInt16Array = NDArray[np.uint16]
Int32Array = NDArray[np.int32]

RING_MAX = 65535
MAX_SHIFT = 15  # 65535 << 15 is the last that a signed 32-bit number holds


@dataclass(frozen=True, eq=False)
class Arrival:
    """One projection onto one receptor type.

    spikes (B, L, pre): how often each source fires at each step, 0 or more, bool or integer;
    weights (pre, post) as stored, unsigned 16 bits; delay in steps, 0 where delays are taken off.
    Raises `FixedPointError` for shapes that do not fit, other types of weights, a negative delay.
    """

    spikes: NDArray[np.bool_] | NDArray[np.integer]
    weights: UInt16Array
    delay: int = 0

    def __post_init__(self) -> None:
        if self.weights.dtype != np.uint16:
            raise FixedPointError(
                f"Arrival: weights of dtype {self.weights.dtype}, expected uint16, the ring "
                "buffer's units. Use split_weights()."
            )
        if self.spikes.dtype.kind not in "bui":
            raise FixedPointError(
                f"Arrival: spikes of dtype {self.spikes.dtype}, expected bool or integers: how "
                "often each source fires at each step."
            )
        if (
            self.spikes.ndim != 3
            or self.weights.ndim != 2
            or self.spikes.shape[2] != self.weights.shape[0]
        ):
            raise FixedPointError(
                f"Arrival: spikes of shape {self.spikes.shape} and weights of shape "
                f"{self.weights.shape}, expected (B, L, pre) and (pre, post)."
            )
        if self.delay < 0:
            raise FixedPointError(f"Arrival: delay {self.delay}, expected 0 steps or more.")


def split_weights(
    weights: ArrayLike, shift: tuple[int, int] | int, scale: float = 1.0
) -> tuple[UInt16Array, UInt16Array]:
    """Signed weights as the two stored matrices, excitatory and inhibitory::

        w_exc = rint(max(w, 0) g 2^(15 - r_exc)),  w_inh = rint(max(-w, 0) g 2^(15 - r_inh))

    Shapes: all (pre, post). ``shift``: r of both types, or (r_exc, r_inh), 0 to 15.
    Raises `FixedPointError` where sPyNNaker would store a weight modulo 65536, without a word.
    """
    shifts = (shift, shift) if isinstance(shift, int) else shift
    given = np.asarray(weights, np.float64) * scale
    if given.ndim != 2 or not np.isfinite(given).all():
        raise FixedPointError(
            f"weights of shape {given.shape}, expected a finite (pre, post) matrix."
        )
    parts = []
    for sign, r, name in ((1, shifts[0], "excitatory"), (-1, shifts[1], "inhibitory")):
        check_shift(r, name)
        stored = np.rint(np.ldexp(np.maximum(sign * given, 0.0), 15 - r))
        if (stored > RING_MAX).any():
            i, j = (int(v) for v in np.argwhere(stored > RING_MAX)[0])
            raise FixedPointError(
                f"{name} weight [{i}, {j}] is {given[i, j]:g}, expected a magnitude below "
                f"{2.0 ** (r + 1):g} with ring-buffer shift {r}: the board would keep it modulo "
                "that. Raise the shift, or scale the neuron down."
            )
        parts.append(stored.astype(np.uint16))
    return parts[0], parts[1]


def ring_buffer(arrivals: Sequence[Arrival]) -> UInt16Array:
    """``min(65535, sum_j w_ij n_j[k - delay])`` over all projections onto one receptor type.

    Result (B, L, post) uint16, exact. Spikes that would arrive after step L - 1 are dropped.
    Raises `FixedPointError` as :func:`ring_sum`.
    """
    from pynn_models.spinnaker.buffers import limited  # compiles

    return limited(ring_sum(arrivals))


def ring_sum(arrivals: Sequence[Arrival]) -> NDArray[np.int32] | NDArray[np.int64]:
    """The sums that :func:`ring_buffer` limits, (B, L, post).

    Raises `FixedPointError` without arrivals, or for arrivals of different shapes.
    """
    shapes = {(*a.spikes.shape[:2], a.weights.shape[1]) for a in arrivals}
    if len(shapes) != 1:
        raise FixedPointError(
            f"ring_buffer: arrivals of shapes (B, L, post) {sorted(shapes)}, expected one shape "
            "for all. A receptor without projections needs no buffer: give None instead."
        )
    shape = shapes.pop()
    from pynn_models.spinnaker.buffers import add_weighted  # compiles

    largest = sum(a.weights.shape[0] * int(a.spikes.max(initial=0)) for a in arrivals) * RING_MAX
    total = np.zeros(shape, np.int32 if largest <= INT32_MAX else np.int64)
    for arrival in arrivals:
        steps = shape[1] - arrival.delay
        if steps > 0:
            sent = arrival.spikes[:, :steps]
            sent = sent.view(np.uint8) if sent.dtype == np.bool_ else sent
            sent = sent if sent.dtype == np.uint8 else sent.astype(np.int64)
            add_weighted(total[:, arrival.delay :], sent, arrival.weights.astype(total.dtype))
    return total


def receptor_current(buffer: UInt16Array | None, shift: int) -> NDArray[np.int64] | int:
    """``buffer << r``: what a cell is handed, s16.15; 0 without a buffer."""
    check_shift(shift, "receptor")
    return 0 if buffer is None else buffer.astype(np.int64) << shift


def net_input(
    excitatory: UInt16Array | None, inhibitory: UInt16Array | None, shifts: tuple[int, int]
) -> Int32Array:
    """``u = (exc << r_exc) - (inh << r_inh)``: what the native cell integrates, int32.

    Shapes: (B, L, H) each, either may be None. Never overflows: both terms are in [0, 2^31).
    """
    if excitatory is None and inhibitory is None:
        raise FixedPointError("net_input: no ring buffer, expected at least one of the two.")
    if excitatory is not None and inhibitory is not None:
        from pynn_models.spinnaker.buffers import subtracted  # compiles

        check_shift(shifts[0], "excitatory")
        check_shift(shifts[1], "inhibitory")
        return subtracted(excitatory, inhibitory, shifts)
    difference = receptor_current(excitatory, shifts[0]) - receptor_current(inhibitory, shifts[1])
    return np.asarray(difference).astype(np.int32)


def check_shift(shift: int, name: str) -> None:
    """Raise `FixedPointError` unless 0 <= shift <= 15."""
    if not 0 <= shift <= MAX_SHIFT:
        raise FixedPointError(
            f"{name} ring-buffer shift is {shift}, expected 0 to {MAX_SHIFT}: a sum of up to "
            f"{RING_MAX} << shift must stay below {INT32_MAX + 1}. Scale the neuron down."
        )
