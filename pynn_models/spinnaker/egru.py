"""Event-based gated recurrent units in SpiNNaker's integers, as ``c/state_space_gated_core.h``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.cells import EgruCell
from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import INT32_MAX, FixedPointError
from pynn_models.spinnaker.gated import half, rounded, saturated
from pynn_models.spinnaker.gated_parameters import GATED_KINDS, GatedParameters
from pynn_models.spinnaker.native_parameters import Int32Array, NativeParameters

UNIT_EXPONENT = 30
"""v, h, theta and what is sent are in units of 2^-30."""

RECEPTORS = ("update", "reset", "recurrent")
"""Value and gate of the first branch, and the value of the second."""


class EgruRun(NamedTuple):
    """Spikes, membranes v and what is sent, (B, L, H); the states h after the last step (B, H);
    how many sums were limited to 32 bits."""

    spikes: NDArray[np.bool_]
    membrane: Int32Array
    sent: Int32Array
    state: Int32Array
    limited: int


def egru_states(cell: EgruCell) -> NativeParameters:
    """The state and threshold of units as those of neurons of one real mode, which does nothing.

    ``THETA = floor(theta 2^30)``, so that ``V > THETA`` is ``v > theta``; inf, or above 2: never.
    """
    size = cell.n_neurons
    theta = np.floor(np.minimum(np.ldexp(np.minimum(cell.theta, 4.0), UNIT_EXPONENT), INT32_MAX))
    none, mode = np.zeros(size, np.int32), np.zeros((size, 1), np.int32)
    return NativeParameters(
        a_re=mode, c_re=mode, d=none, theta=theta.astype(np.int32), bias=none, input_exponent=0,
        membrane_exponent=np.full(size, UNIT_EXPONENT - 15, np.int64),
    )  # fmt: skip


@njit(nogil=True)
def _steps(  # type: ignore[no-untyped-def]
    u, update, reset, recurrent, first, index, last, theta, table, bits, h, spikes, v, sent
):
    samples, steps, size = u.shape
    limited = 0
    for b in range(samples):
        for k in range(steps):
            for i in range(size):
                z = half(table, bits, rounded(np.int64(update[b, k, i]), first[i, 0]))
                r = half(table, bits, rounded(np.int64(reset[b, k, i]), index[i, 0]))
                wide = rounded(np.int64(recurrent[b, k, i]) * r, last[i, 1])
                part = saturated(wide)
                sum_ = np.int64(u[b, k, i]) + part
                total = saturated(sum_)
                limited += (part != wide) or (total != sum_)
                g = 2 * half(table, bits, rounded(total, index[i, 1])) - 65536
                y = rounded(z * h[b, i] + (65536 - z) * g * 16384, 16)
                fired = y > theta[i]
                spikes[b, k, i] = fired
                v[b, k, i] = y
                sent[b, k, i] = y if fired else 0
                h[b, i] = y - theta[i] if fired else y
    return limited


def run_egru(
    parameters: GatedParameters, totals: Sequence[Int32Array], state: Int32Array | None = None
) -> EgruRun:
    """The equations of :mod:`.gated_parameters` for ``egru``, from the totals of its receptors.

    ``totals``: the input, then value and gate of both branches, (B, L, H) each, as
    :func:`.gated_sums` returns them; ``state`` (B, H): h before, 0 if not given. Raises
    `FixedPointError` for parameters of another kind.
    """
    branches = parameters.branches
    if branches is None or branches.kind != "egru" or branches.count != len(RECEPTORS) - 1:
        raise FixedPointError(
            f"run_egru: branches of kind {parameters.kind!r}, expected 2 of kind 'egru'."
        )
    u, update, reset, recurrent, _ = totals
    h = np.zeros((len(u), u.shape[2]), np.int32) if state is None else state.copy()
    spikes = np.empty(u.shape, np.bool_)
    v, sent = np.empty(u.shape, np.int32), np.empty(u.shape, np.int32)
    table = GATED_KINDS["egru"].table
    limited = _steps(
        u, update, reset, recurrent, branches.first, branches.index, branches.last,
        parameters.cell.theta, table.entries, table.step_bits, h, spikes, v, sent,
    )  # fmt: skip
    return EgruRun(spikes, v, sent, h, int(limited))
