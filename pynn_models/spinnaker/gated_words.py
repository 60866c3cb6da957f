"""A gated population as ``c/state_space_gated_core.h`` lays it out, in 32-bit words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker.fixed_point import FixedPointError
from pynn_models.spinnaker.gated_parameters import GATED_KINDS, GatedParameters
from pynn_models.spinnaker.native_parameters import Int32Array
from pynn_models.spinnaker.native_words import (
    SHARED,
    neuron_bytes,
    neuron_words,
    population_words,
)
from pynn_models.spinnaker.tables import INTERVALS, HalfTable

UInt32Array = NDArray[np.uint32]

COLOURS = 16  # the ticks that a packet's colour tells apart
_HEAD = len(SHARED) + 8  # words of state_space_gated_t
MAX_DELAY = COLOURS - 1  # of a graded projection


class SenderKeys(NamedTuple):
    """The packets of one sending core: ``key & mask``; its neuron n is source ``first`` + n of
    what the receiver holds, and stands above the ``colour_bits``."""

    key: int
    mask: int
    first: int
    colour_bits: int


@dataclass(frozen=True)
class Clock:
    """``first_step``: the tick that is step k = 0; ``period``: modes are zeroed when
    ``k % period == 0``, or never with 0; ``sends``: whether membranes go out."""

    first_step: int = 0
    period: int = 0
    sends: bool = False


def slots(parameters: GatedParameters) -> int:
    """The power of two above the longest delay of its graded projections.

    Raises `FixedPointError` for one that the colours of packets cannot tell from a shorter.
    """
    longest = max((g.delay for g in parameters.graded), default=0)
    # That of the next tick is cleared while those of all delays are read.
    more = int(parameters.events and longest > 0)
    if longest + more > MAX_DELAY:
        raise FixedPointError(
            f"a graded projection has a delay of {longest} steps, expected at most "
            f"{MAX_DELAY - more}: "
            "packets carry four bits of their tick. Export with a shorter delay."
        )
    return 1 << (longest + more).bit_length()


def table_words(table: HalfTable) -> UInt32Array:
    """The 1,025 entries, two a word, the first in the lower half."""
    return np.append(table.entries, np.zeros(1, np.uint16)).astype("<u2").view("<u4")


def first_sources(parameters: GatedParameters) -> dict[int, int]:
    """Where each sending population begins among all values that are received in a tick."""
    sizes = parameters.source_sizes
    ends = np.cumsum(list(sizes.values()), dtype=np.int64)
    return {source: int(end) - sizes[source] for source, end in zip(sizes, ends, strict=True)}


def shared_words(
    parameters: GatedParameters, clock: Clock, keys: Sequence[SenderKeys] = ()
) -> UInt32Array:
    """What all neurons of a core share::

        the words of a population (.native_words);  kind, branches, graded, sources, keys,
        slots - 1, sends, step_bits;  the table;  receptor, delay, first, sources   a projection
        key, mask, first, colour_bits                                               a sending core
    """
    p, kind = parameters, GATED_KINDS[parameters.kind]
    firsts = first_sources(p)
    head = [
        *population_words(p.cell, clock.first_step, clock.period),
        kind.number, p.n_branches, len(p.graded), sum(p.source_sizes.values()), len(keys),
        slots(p) - 1, int(clock.sends) | p.events << 1, kind.table.step_bits,
    ]  # fmt: skip
    graded = [[g.receptor, g.delay, firsts[g.source], len(g.weights)] for g in p.graded]
    parts = [
        np.array(head, np.uint32),
        table_words(kind.table),
        np.array(graded, np.uint32).ravel(),
        np.array([list(key) for key in keys], np.uint32).ravel(),
    ]
    return np.concatenate(parts)


def shared_size(parameters: GatedParameters, keys: int) -> int:
    """The number of :func:`shared_words` with that many sending cores."""
    return _HEAD + (INTERVALS + 2) // 2 + 4 * len(parameters.graded) + 4 * keys


def gated_words(parameters: GatedParameters) -> Int32Array:
    """The neurons, at rest, (H, words): as :func:`.neuron_words` has them, then::

        send;  shift                                                           a graded projection
        0, 0, value_bias, gate_bias, offset, gain, first + 2^8 index + 2^16 last          a branch
        the weights of each graded projection, two a word, the first in the lower half
    """
    p = parameters
    columns = [neuron_words(replace(p.cell, bias=p.bias)), p.send[:, None]]
    columns += [g.shift[:, None] for g in p.graded]
    if p.branches is not None:
        b = p.branches
        shifts = b.first | b.index << 8 | b.last << 16
        zero = np.zeros_like(b.gain)
        rows = np.stack(
            [zero, zero, b.value_bias, b.gate_bias, b.offset, b.gain, shifts], axis=2
        )  # (H, P, 7)
        columns.append(rows.reshape(len(rows), -1))
    columns += [_packed(g.weights.T) for g in p.graded]
    return np.ascontiguousarray(np.concatenate(columns, axis=1), np.int32)


def _packed(weights: NDArray[np.int16]) -> Int32Array:
    """(H, pre) int16 -> (H, words), two a word, padded with a zero."""
    padded = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    return np.ascontiguousarray(padded).astype("<i2").view("<i4")


def gated_bytes(parameters: GatedParameters) -> int:
    """Of one neuron."""
    p = parameters
    rows = sum(-(-len(g.weights) // 2) + 1 for g in p.graded)
    return neuron_bytes(p.cell) + 4 * (1 + rows + 7 * p.n_branches)
