"""Gated inputs in SpiNNaker's integers, as ``c/state_space_gated_core.h`` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import FixedPointError
from pynn_models.spinnaker.gated_parameters import (
    GATED_KINDS,
    GatedParameters,
    GradedWeights,
)
from pynn_models.spinnaker.native_parameters import Int32Array


class GatedInput(NamedTuple):
    """``u`` (B, L, H) int32, what the modes integrate; how many sums were limited to 32 bits."""

    u: Int32Array
    saturated: int


_LOW, _HIGH = -(2**31), 2**31 - 1


@njit(nogil=True)
def rounded(value, shift):  # type: ignore[no-untyped-def]
    """``(value + 2^(shift - 1)) >> shift``; exact for 0."""
    return value if shift == 0 else (value + (np.int64(1) << (shift - 1))) >> shift


@njit(nogil=True)
def saturated(value):  # type: ignore[no-untyped-def]
    return min(max(value, np.int64(_LOW)), np.int64(_HIGH))


@njit(nogil=True)
def half(table, bits, x):  # type: ignore[no-untyped-def]
    """The table's function of an s16.15 number, in units of 2^-16."""
    a = -x if x < 0 else x
    i = a >> bits
    if i >= table.shape[0] - 1:
        left = np.int64(0)
    else:
        above, below = np.int64(table[i]), np.int64(table[i + 1])
        rest = a & ((np.int64(1) << bits) - 1)
        left = above - (((above - below) * rest + (np.int64(1) << (bits - 1))) >> bits)
    return left if x < 0 else np.int64(65536) - left


@njit(nogil=True)
def _with_bias(arriving, bias, total):  # type: ignore[no-untyped-def]
    samples, steps, size = total.shape
    limited = 0
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                wide = np.int64(arriving[b, k, h]) + bias[h]
                kept = saturated(wide)
                limited += kept != wide
                total[b, k, h] = kept
    return limited


@njit(nogil=True)
def _add_graded(total, sent, weights, shift):  # type: ignore[no-untyped-def]
    """Sums of integers below 2^53 in float64, exact in any order."""
    samples, steps, size = total.shape
    sources = weights.shape[0]
    fours = sources - sources % 4
    acc = np.empty(size)
    limited = 0
    for b in range(samples):
        for k in range(steps):
            acc[:] = 0.0
            for i in range(0, fours, 4):
                p, q = float(sent[b, k, i]), float(sent[b, k, i + 1])
                r, s = float(sent[b, k, i + 2]), float(sent[b, k, i + 3])
                for h in range(size):
                    acc[h] += (p * weights[i, h] + q * weights[i + 1, h]) + (
                        r * weights[i + 2, h] + s * weights[i + 3, h]
                    )
            for i in range(fours, sources):
                p = float(sent[b, k, i])
                for h in range(size):
                    acc[h] += p * weights[i, h]
            for h in range(size):
                wide = rounded(np.int64(acc[h]), shift[h])
                part = saturated(wide)
                sum_ = np.int64(total[b, k, h]) + part
                kept = saturated(sum_)
                limited += (part != wide) or (kept != sum_)
                total[b, k, h] = kept
    return limited


@njit(nogil=True)
def _add_glu(u, value, gate, index, last, table, bits):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    limited = 0
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                g = rounded(np.int64(gate[b, k, h]), index[h])
                wide = rounded(np.int64(value[b, k, h]) * half(table, bits, g), last[h])
                part = saturated(wide)
                sum_ = np.int64(u[b, k, h]) + part
                kept = saturated(sum_)
                limited += (part != wide) or (kept != sum_)
                u[b, k, h] = kept
    return limited


@njit(nogil=True)
def _add_gsu(  # type: ignore[no-untyped-def]
    u, value, gate, offset, gain, first, index, last, table, bits
):
    samples, steps, size = u.shape
    limited = 0
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                product = rounded(np.int64(value[b, k, h]) * gate[b, k, h], first[h])
                narrow = saturated(product)
                shifted = narrow + offset[h]
                z = saturated(shifted)
                gelu = rounded(z * half(table, bits, rounded(z, index[h])), 16)
                wide = rounded(gelu * gain[h], last[h])
                part = saturated(wide)
                sum_ = np.int64(u[b, k, h]) + part
                kept = saturated(sum_)
                limited += (
                    (narrow != product) or (z != shifted) or (part != wide) or (kept != sum_)
                )
                u[b, k, h] = kept
    return limited


@njit(nogil=True)
def _send(membrane, shift, sent):  # type: ignore[no-untyped-def]
    samples, steps, size = membrane.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                sent[b, k, h] = rounded(np.int64(membrane[b, k, h]), shift[h])


def sent_membranes(parameters: GatedParameters, membrane: Int32Array) -> Int32Array:
    """``Y >> send``, rounded: what goes out as payloads, (B, L, H) as the membranes are."""
    sent = np.empty_like(membrane)
    _send(membrane, parameters.send, sent)
    return sent


def gated_input(
    parameters: GatedParameters,
    arriving: Sequence[Int32Array],
    sent: Sequence[Int32Array] = (),
) -> GatedInput:
    """The equations of :mod:`.gated_parameters` over a sequence, up to the modes' input U.

    As :func:`gated_sums`, then the products of glu and gsu.
    """
    totals, limited = gated_sums(parameters, arriving, sent)
    for p in range(parameters.n_branches):
        limited += _branch(parameters, p, totals)
    return GatedInput(totals[0], limited)


def gated_sums(
    parameters: GatedParameters,
    arriving: Sequence[Int32Array],
    sent: Sequence[Int32Array] = (),
) -> tuple[list[Int32Array], int]:
    """The totals of all receptors, (B, L, H) each, and how many sums were limited to 32 bits.

    ``arriving``: what spikes bring to each receptor, (B, L, H) int32 (:func:`.net_input`), the
    input first; ``sent``: what each graded projection's source sent, (B, L, pre) int32.
    Raises `FixedPointError` for other numbers of arrays.
    """
    if len(arriving) != parameters.n_receptors or len(sent) != len(parameters.graded):
        raise FixedPointError(
            f"gated_input: {len(arriving)} sums of spikes and {len(sent)} graded sources, expected "
            f"{parameters.n_receptors} and {len(parameters.graded)}."
        )
    branches = parameters.branches
    biases: list[Int32Array] = [parameters.bias]
    for p in range(parameters.n_branches):
        biases += [branches.value_bias[:, p], branches.gate_bias[:, p]] if branches else []
    totals = [np.empty(found.shape, np.int32) for found in arriving]
    limited = sum(
        int(_with_bias(np.ascontiguousarray(found), np.ascontiguousarray(bias), total))
        for found, bias, total in zip(arriving, biases, totals, strict=True)
    )
    for graded, values in zip(parameters.graded, sent, strict=True):
        limited += _graded(totals[graded.receptor], graded, values)
    return totals, limited


def _graded(total: Int32Array, graded: GradedWeights, sent: Int32Array) -> int:
    weights = np.ascontiguousarray(graded.weights, np.float64)
    return int(_add_graded(total, sent, weights, graded.shift))


def _branch(parameters: GatedParameters, p: int, totals: Sequence[NDArray[np.int32]]) -> int:
    branches = parameters.branches
    if branches is None:
        return 0
    table = GATED_KINDS[branches.kind].table
    value, gate = totals[1 + 2 * p], totals[2 + 2 * p]
    columns = {
        name: np.ascontiguousarray(getattr(branches, name)[:, p])
        for name in ("offset", "gain", "first", "index", "last")
    }
    if branches.kind == "glu":
        return int(
            _add_glu(
                totals[0], value, gate, columns["index"], columns["last"],
                table.entries, table.step_bits,
            )
        )  # fmt: skip
    return int(
        _add_gsu(totals[0], value, gate, *columns.values(), table.entries, table.step_bits)
    )
