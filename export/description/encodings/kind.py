"""What a kind of input encoding is: how a channel's values reach the neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from export.description.parts import Source

FloatArray = NDArray[np.float64]


class Values(NamedTuple):
    """The integers that a channel can be: 0 to ``limit - 1`` (0: any number), in words."""

    limit: int = 0
    words: str = ""
    remedy: str = ""


def a_channel_each(source: Source) -> int:
    """One source a channel."""
    return source.channels


def by_step(source: Source, samples: NDArray[Any]) -> NDArray[Any]:
    """Each channel's value as it is: (B, C, L) -> (B, L, C), float64."""
    return np.ascontiguousarray(samples.transpose(0, 2, 1), dtype=np.float64)


def as_they_are(source: Source, matrix: FloatArray) -> FloatArray:
    """A coefficient a channel is one a source: (H, C)."""
    return matrix


def one_each(source: Source, matrix: FloatArray) -> FloatArray:
    """Every source may emit 1 at once: (H, size) -> (H,)."""
    return matrix.sum(axis=1)


@dataclass(frozen=True)
class Encoding:
    """How ``channels`` values a step become what the network's sources emit.

    ``size(source)``: the number of sources. ``emit(source, samples)``: (B, C, L) -> (B, L, size),
    spikes as uint8 or currents in float64. ``expand(source, matrix)``: the coefficients of the
    sources, (H, size), from those of the channels, (H, C). ``reach(source, |coefficients|)``: the
    largest sum that one step can bring, (H, size) -> (H,); inf where the range is not known.
    ``values(source)``: which values a channel can have. ``words(source)``, ``unit(source)``: what
    it carries, for a table and for the axis of a figure. ``currents``: the sources are step
    currents and not spikes. ``integers``: channels are always integers of a width; ``symbols``:
    there is one channel, of symbols; ``binary``: its channels are spikes; ``fractions``: they are
    real, in units of a power of two each.
    """

    name: str
    words: Callable[[Source], str]
    unit: Callable[[Source], str]
    size: Callable[[Source], int] = a_channel_each
    emit: Callable[[Source, NDArray[Any]], NDArray[Any]] = by_step
    expand: Callable[[Source, FloatArray], FloatArray] = as_they_are
    reach: Callable[[Source, FloatArray], FloatArray] = one_each
    values: Callable[[Source], Values] = lambda source: Values()
    currents: bool = False
    integers: bool = False
    symbols: bool = False
    binary: bool = False
    fractions: bool = False
