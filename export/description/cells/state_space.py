"""State-space cells: linear modes, a threshold, optional parts. Families ``native``, ``stock``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.cells import parts
from export.description.cells.kind import CellKind, Family, FloatArray, leak_gain, whole
from pynn_models.cells import Branches, StateSpaceCell, propagator

_ARRAYS = ("tau", "omega", "c_re", "c_im", "d", "theta", "bias")
_COMPLEX_ONLY = ("omega", "c_im")
_BRANCH_ARRAYS = ("value_bias", "gate_bias", "shift", "gain")


def _complex_modes(  # type: ignore[no-untyped-def]
    u, ar, ai, cr, ci, d, theta, states_re, states_im, spikes, membrane
):
    samples, steps, size = u.shape
    modes = ar.shape[0]
    keep = membrane.shape[0] > 0
    acc = np.empty((2, size))
    for b in range(samples):
        xr = states_re[b]
        xi = states_im[b]
        for k in range(0, steps, 2):
            acc[:] = 0.0
            if k + 1 < steps:  # two steps at once: constants and states are read half as often
                for n in range(modes):
                    for h in range(size):
                        a, w, c, e = ar[n, h], ai[n, h], cr[n, h], ci[n, h]
                        r, i = xr[n, h], xi[n, h]
                        re = (a * r - w * i) + u[b, k, h]
                        im = a * i + w * r
                        acc[0, h] += c * re - e * im
                        r = (a * re - w * im) + u[b, k + 1, h]
                        i = a * im + w * re
                        acc[1, h] += c * r - e * i
                        xr[n, h] = r
                        xi[n, h] = i
            else:
                for n in range(modes):
                    for h in range(size):
                        re = (ar[n, h] * xr[n, h] - ai[n, h] * xi[n, h]) + u[b, k, h]
                        im = ar[n, h] * xi[n, h] + ai[n, h] * xr[n, h]
                        xr[n, h] = re
                        xi[n, h] = im
                        acc[0, h] += cr[n, h] * re - ci[n, h] * im
            for j in range(k, min(k + 2, steps)):
                for h in range(size):
                    y = acc[j - k, h] + d[h] * u[b, j, h]
                    spikes[b, j, h] = y > theta[h]
                    if keep:
                        membrane[b, j, h] = y


def _real_modes(u, ar, cr, d, theta, states, spikes, membrane):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    modes = ar.shape[0]
    keep = membrane.shape[0] > 0
    for b in range(samples):
        x = states[b]
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    x[n, h] = ar[n, h] * x[n, h] + u[b, k, h]
                    acc[h] += cr[n, h] * x[n, h]
            for h in range(size):
                y = acc[h] + d[h] * u[b, k, h]
                spikes[b, k, h] = y > theta[h]
                if keep:
                    membrane[b, k, h] = y


def _loop(cell: StateSpaceCell) -> Callable[..., None]:
    if parts.has_parts(cell):
        return parts.loop
    return _complex_modes if cell.is_complex else _real_modes


def _constants(cell: StateSpaceCell, timestep: float) -> tuple[NDArray[Any], ...]:
    """abar and c, (N, H), so that the neurons of a mode lie side by side; d and theta."""
    if parts.has_parts(cell):
        return parts.constants(cell, timestep)
    a_re, a_im = propagator(cell.tau, cell.omega, timestep)  # (H, N)
    rows = (a_re, cell.c_re) if cell.c_im is None else (a_re, a_im, cell.c_re, cell.c_im)
    return (*(np.ascontiguousarray(m.T) for m in rows), cell.d, cell.theta)


def _state(cell: StateSpaceCell, samples: int) -> tuple[NDArray[Any], ...]:
    """The modes, (B, N, H): real parts and, of complex ones, imaginary parts."""
    if parts.has_parts(cell):
        return parts.state(cell, samples)
    shape = (samples, cell.n_modes, cell.n_neurons)
    return tuple(np.zeros(shape) for _ in range(2 if cell.is_complex else 1))


def _arrays(cell: StateSpaceCell) -> Mapping[str, FloatArray]:
    found = {leaf: getattr(cell, leaf) for leaf in _ARRAYS}
    if cell.branches is not None:
        found |= {f"branches.{leaf}": getattr(cell.branches, leaf) for leaf in _BRANCH_ARRAYS}
    return {leaf: value for leaf, value in found.items() if value is not None} | parts.arrays(cell)


def _entry(cell: StateSpaceCell) -> dict[str, Any]:
    entry: dict[str, Any] = {"modes": cell.n_modes}
    entry |= {"branches": cell.branches.kind} if cell.branches else {}
    return entry | parts.entry(cell)


def _rebuild(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> StateSpaceCell:
    branches = None
    if "branches" in entry:
        constants = {leaf: arrays[f"branches.{leaf}"] for leaf in _BRANCH_ARRAYS}
        branches = Branches(kind=entry["branches"], **constants)
    parameters: dict[str, Any] = {
        leaf: arrays[leaf] for leaf in _ARRAYS if leaf not in _COMPLEX_ONLY or leaf in arrays
    }
    return StateSpaceCell(**parameters, branches=branches, **parts.rebuild(entry, arrays))


def _gain(cell: StateSpaceCell, timestep: float, steps: int) -> FloatArray:
    """``|d| + sum_n |c_n| / (1 - |abar_n|)``."""
    c = np.hypot(cell.c_re, 0 if cell.c_im is None else cell.c_im)  # (H, N)
    return np.asarray(np.abs(cell.d) + (c * leak_gain(cell.tau, timestep, steps)).sum(axis=1))


def _stock_fault(cell: StateSpaceCell) -> str:
    plain = cell.n_modes == 1 and not cell.is_complex and bool((cell.c_re == 1).all())
    lacks = cell.branches is None and not parts.has_parts(cell) and not cell.differences
    if plain and lacks and not cell.d.any() and not cell.bias.any():
        return ""
    return (
        "its cell is none that IF_curr_exp can be; expected one real mode, c = 1, d = 0, no bias, "
        "no branches, reset, history, further thresholds or differences. Train with model.cells = "
        "\"stock\", or use native cells."
    )


def _linear(cell: StateSpaceCell) -> StateSpaceCell:
    """The cell without what is not linear; itself where there is nothing of it."""
    bare = cell.reset is None and cell.history is None and cell.multiplicity is None
    return cell if bare else replace(cell, reset=None, history=None, multiplicity=None)


STATE_SPACE = CellKind(
    "state-space",
    cell=StateSpaceCell,
    families=(Family("native", streams=True), Family("stock", fault=_stock_fault)),
    arrays=_arrays,
    entry=_entry,
    rebuild=_rebuild,
    loop=_loop,
    constants=_constants,
    state=_state,
    gain=_gain,
    kick=parts.kick,
    feedback=parts.feedback,
    thresholds=lambda cell: cell.thresholds,
    raised=parts.raised,
    linear=_linear,
    modes=parts.words,
    after_spike=parts.after_spike,
    sends=whole,
    differences=lambda cell: cell.differences,
)
