"""Populations that send differences of their counts: the sums that must be exact for it.

Who receives s[k] - s[k-1] adds it to what came before. In exact arithmetic what has come up to step
k is sum_i w_i s_i[k]: the input that counts would have brought, and so every membrane and every
count is that of the same network sending counts. In float64 it holds where no sum needs rounding,
since what one step rounds would stay in all later ones. For a neuron that receives weights w_i from
neurons of at most D_i spikes, all multiples of a g = 2^e, partial sums are multiples of g and at
most sum_i D_i |w_i|, so that

    sum_i D_i |w_i| < 2^53 g

is enough, for any order. Lowering puts weights on such a grid (:mod:`export.lowering.affine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from export.description.parts import FloatArray, NetworkError, Population
from export.description.projection import Projection

_DIGITS = 53  # of a float64


def _unit(weights: FloatArray) -> FloatArray:
    """The largest power of two that divides each weight; of 0, inf."""
    mantissa, exponent = np.frexp(weights)
    whole = np.ldexp(mantissa, _DIGITS).astype(np.int64)
    lowest = (whole & -whole).astype(np.float64)
    return np.where(whole == 0, np.inf, np.ldexp(lowest, exponent - _DIGITS))


def check_sums(populations: Iterable[Population], projections: Sequence[Projection]) -> None:
    """Raise :class:`NetworkError` for a neuron whose sums of differences float64 would round."""
    levels = {p.name: p.levels for p in populations if p.differences}
    onto: dict[tuple[str, str], list[Projection]] = {}
    for projection in projections:
        if projection.source in levels:
            onto.setdefault((projection.target, projection.receptor), []).append(projection)
    for arriving in onto.values():
        unit = np.min([_unit(p.weights).min(axis=0) for p in arriving], axis=0)  # (post,)
        largest = np.sum(
            [levels[p.source] * np.abs(p.weights).sum(axis=0) for p in arriving], axis=0
        )
        bad = np.flatnonzero(largest >= np.ldexp(unit, _DIGITS))
        if len(bad) > 0:
            j = int(bad[0])
            raise NetworkError(
                f"{arriving[0]}: neuron {j} adds up differences of its sources' counts, multiples "
                f"of {unit[j]:g} of up to {largest[j]:g}: more digits than a float64 has, so that "
                "what a step rounds would stay in all later ones. Expected weights on one grid, as "
                "lowering gives all but very unequal ones. Send counts (model.messages, "
                "export --messages counts)."
            )
