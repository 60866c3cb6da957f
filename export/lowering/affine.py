"""Affine maps of what a network's sources emit, and the grid on which their sums are exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Projection,
    Source,
)

_MANTISSA = 52
_LEAST = -1074  # exponent of the smallest float64
_VALUES = 2**15  # at once, so that what is in between stays in the cache
_CLASS = 30  # bits by which magnitudes of one class may differ


class Tap(NamedTuple):
    """What a source sent ``lag`` steps ago."""

    source: str
    lag: int = 0


class _Scaled(Mapping[Tap, FloatArray]):
    """Matrices with a factor a row, each made when it is asked for: all at once would be large."""

    def __init__(self, matrices: Mapping[Tap, FloatArray], scale: FloatArray) -> None:
        self._matrices, self._scale = matrices, scale

    def __getitem__(self, tap: Tap) -> FloatArray:
        return self._scale[:, None] * self._matrices[tap]

    def __iter__(self) -> Iterator[Tap]:
        return iter(self._matrices)

    def __len__(self) -> int:
        return len(self._matrices)


@dataclass(frozen=True, eq=False)
class Affine:
    """``sum_tap M_tap s_source[k - lag] + constant``: ``M`` (H, size of the source), (H,).

    The input counts with one coefficient a channel, (H, C), or a symbol; :func:`on_grid` gives each
    spike source its own. ``levels``: the most spikes of a step, of sources that send several;
    ``values``: the sources that send graded values of at most 1, as a spike is.
    """

    matrices: Mapping[Tap, FloatArray]
    constant: FloatArray
    levels: Mapping[str, int] = field(default_factory=dict)
    values: frozenset[str] = frozenset()

    def scaled(self, scale: FloatArray, shift: FloatArray | float = 0.0) -> Affine:
        """``scale * self + shift``, a value a channel each."""
        scaled = scale * self.constant + shift
        return Affine(_Scaled(self.matrices, scale), scaled, self.levels, self.values)

    def mapped(self, weight: FloatArray, bias: FloatArray) -> Affine:
        """``weight @ self + bias``."""
        matrices = {k: weight @ m for k, m in self.matrices.items()}
        return Affine(matrices, weight @ self.constant + bias, self.levels, self.values)

    def plus(self, other: Affine) -> Affine:
        """``self + other``, for an ``other`` of taps that have no part in ``self`` yet."""
        matrices = {**self.matrices, **other.matrices}
        levels = {**self.levels, **other.levels}
        values = self.values | other.values
        return Affine(matrices, self.constant + other.constant, levels, values)


def is_real(source: Source) -> bool:
    """Whether the input is of real values, which are on no grid and have no bound."""
    return source.kind.currents and source.bits == 0


def _most(form: Affine, name: str, source: Source) -> float:
    """The largest value of a source on a grid: of an integer channel, or spikes of a step."""
    if name == source.name:
        return max(2.0**source.bits - 1, 1.0)
    return float(form.levels.get(name, 1))


def _largest_sum(form: Affine, source: Source) -> FloatArray:
    """Of what is on a grid, the largest sum of magnitudes that a step can bring, (H,)."""
    bound = np.abs(form.constant)
    for tap, matrix in form.matrices.items():
        largest = np.abs(matrix)
        if tap.source != source.name:
            bound = bound + _most(form, tap.source, source) * largest.sum(axis=1)
        elif not is_real(source):
            bound = bound + source.kind.reach(source, source.kind.expand(source, largest))
    return bound


def _exponent(values: FloatArray) -> NDArray[np.int64]:
    """e of the power of two ``2^e`` at or above each value; of 0, 0."""
    mantissa, exponent = np.frexp(values)  # values = mantissa 2^exponent, 1/2 <= mantissa < 1
    return exponent.astype(np.int64) - (mantissa == 0.5)


def _rounded(values: FloatArray, top: NDArray[np.int64], most: float) -> FloatArray:
    """Values, (H, .), on their rows' grids, finer for those that bring far less than a row's most.

    ``top`` (H,): the exponent of a row's R; ``most``: the largest value of a source. Read-only, and
    in the order in memory of the weights (., H), which need not be copied then.
    """
    found = np.empty(values.shape, order="F")
    size = max(_VALUES // max(values.shape[1], 1), 1)
    for rows in (slice(i, i + size) for i in range(0, len(values), size)):
        part, high = values[rows], top[rows, None]
        below = np.maximum(high - _exponent(np.abs(part) * most), 0) // _CLASS
        grid = np.ldexp(1.0, np.maximum(high - _CLASS * below - _MANTISSA, _LEAST))
        found[rows] = np.where(part == 0, part, np.rint(part / grid) * grid)
    found.flags.writeable = False
    return found


def on_grid(form: Affine, source: Source, terms: float = 1) -> Affine:
    """The form with every coefficient rounded so that float64 sums of it are exact in any order.

    Each neuron has a grid of its own, so that one of small weights keeps its precision beside one
    of large ones. R, the power of two at or above its largest sum of ``terms`` steps, bounds every
    partial sum, and multiples of R / 2^52 up to 2 R need no rounding. This is what makes simulators
    agree to the last bit, whichever order they deliver spikes in; it moves a coefficient by at most
    R / 2^53. The input's coefficients, one a channel, become one a spike source here: bit j weighs
    2^j times bit 0, so that both encodings give the same sums. Real-valued channels are on no grid:
    no sum of theirs is exact, their coefficients stay as they are and count in no bound.

    A coefficient that brings less than R / 2^30 would lose its digits there, and the neuron what it
    does while its large sources are silent. It has the grid of R / 2^30, or of as many times 2^-30
    as it takes: sums within such a class are exact, one of two classes is rounded as float64 does.
    """
    top = _exponent(_largest_sum(form, source) * terms)
    matrices = {
        tap: _rounded(m, top, _most(form, tap.source, source)) for tap, m in form.matrices.items()
    }
    for tap in [tap for tap in matrices if tap.source == source.name]:
        given = form.matrices[tap] if is_real(source) else matrices[tap]
        matrices[tap] = source.kind.expand(source, given)
    constant = _rounded(form.constant[:, None], top, 1.0)[:, 0]
    return Affine(matrices, constant, form.levels, form.values)


def projections(
    form: Affine,
    target: str,
    latency: Mapping[str, int],
    receptor: str = INPUT_RECEPTOR,
    graded: bool = False,
) -> list[Projection]:
    """The projections of a form's sources onto a receptor of ``target``; its constant is left.

    One a source, whose synapses each have a delay of their own where no pair of neurons has two
    taps, else one a tap. Those from a population at least half of whose weights are exactly 0
    (pruned ones, most taps) are kept synapse by synapse, without the zeros; graded ones and those
    from the input are not. Graded are all, or those from sources of values.
    """
    found: list[Projection] = []
    for name in dict.fromkeys(tap.source for tap in form.matrices):
        taps = {tap.lag: m.T for tap, m in form.matrices.items() if tap.source == name}
        lead, values = latency[target] - latency[name], graded or name in form.values
        whole = values or latency[name] == 0
        for delay, weights in _merged(taps):
            zeros = weights == 0
            sparse = not whole and 2 * int(zeros.sum()) >= zeros.size and not bool(zeros.all())
            mask = ~zeros if sparse or not isinstance(delay, int) else None
            late = lead + delay
            found.append(Projection(name, target, weights, late, receptor, values, mask))
    return found


def _merged(taps: Mapping[int, FloatArray]) -> list[tuple[int | NDArray[np.int64], FloatArray]]:
    """Lags and weights (pre, post) of each projection: one of all taps if they do not overlap."""
    if len(taps) == 1:
        return list(taps.items())
    stacked, lags = np.stack(list(taps.values())), np.array(list(taps))
    present = stacked != 0  # (taps, pre, post)
    if present.any() and not bool((present.sum(axis=0) > 1).any()):
        return [((present * lags[:, None, None]).sum(axis=0), stacked.sum(axis=0))]
    return [(lag, weights) for lag, weights in taps.items() if weights.any()]
