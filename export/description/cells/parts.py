"""The loop of a state-space cell with a reset, a threshold history or further thresholds.

Whether spikes are sent as counts or as differences is no matter of the loop, which counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.cells.kind import FloatArray, leak_gain
from pynn_models.cells import History, Multiplicity, Reset, StateSpaceCell, propagator

_RESETS = ("soft", "hard")


def has_parts(cell: StateSpaceCell) -> bool:
    """Whether it has any of them."""
    return any((cell.reset, cell.history, cell.multiplicity))


def feedback(cell: StateSpaceCell) -> tuple[str, ...]:
    """The names of those by which past spikes act back on the neuron."""
    found = {"reset": cell.reset, "history": cell.history}
    return tuple(name for name, part in found.items() if part is not None)


def loop(  # type: ignore[no-untyped-def]
    u, ar, ai, cr, ci, d, thresholds, rr, ri, a, how, states_re, states_im, last, rests, histories,
    spikes, membrane,
):
    """The steps in the order of the cell's contract; real modes are complex ones of Im = 0.

    ``thresholds`` (D, H), ``rr`` and ``ri`` (N, H) of a soft reset or all 0, ``a`` (J, H);
    ``how``: whether the reset is hard, and the refractory steps. Bit j of ``histories`` is the
    pre-spike of j + 1 steps before.
    """
    samples, steps, size = u.shape
    modes, levels, length = ar.shape[0], thresholds.shape[0], a.shape[0]
    hard, refractory = how[0] > 0, how[1]
    keep = membrane.shape[0] > 0
    for b in range(samples):
        xr, xi, s, rest, bits = states_re[b], states_im[b], last[b], rests[b], histories[b]
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    if hard:
                        zr = 0.0 if s[h] > 0 else xr[n, h]
                        zi = 0.0 if s[h] > 0 else xi[n, h]
                    else:
                        zr = xr[n, h] - rr[n, h] * s[h]
                        zi = xi[n, h] - ri[n, h] * s[h]
                    re = (ar[n, h] * zr - ai[n, h] * zi) + u[b, k, h]
                    im = ar[n, h] * zi + ai[n, h] * zr
                    if hard and rest[h] > 0:
                        re = 0.0
                        im = 0.0
                    xr[n, h] = re
                    xi[n, h] = im
                    acc[h] += cr[n, h] * re - ci[n, h] * im
            for h in range(size):
                y = acc[h] + d[h] * u[b, k, h]
                raised = 0.0
                for j in range(length):
                    if bits[h] >> j & 1:
                        raised += a[j, h]
                count = 0
                if rest[h] == 0:
                    for j in range(levels):
                        if y > thresholds[j, h] + raised:
                            count += 1
                if length > 0:
                    kept = (bits[h] << 1) & ((1 << length) - 1)
                    bits[h] = kept | 1 if y > thresholds[0, h] else kept
                rest[h] = refractory if count > 0 else max(rest[h] - 1, 0)
                s[h] = count
                spikes[b, k, h] = count
                if keep:
                    membrane[b, k, h] = y


def constants(cell: StateSpaceCell, timestep: float) -> tuple[NDArray[Any], ...]:
    """Those of :func:`loop`, of a mode side by side: (N, H)."""
    a_re, a_im = propagator(cell.tau, cell.omega, timestep)  # (H, N)
    none = np.zeros(cell.tau.shape)
    c_im = none if cell.c_im is None else cell.c_im
    reset = cell.reset or Reset(r_re=none, r_im=none)
    taken = (none if r is None else r for r in (reset.r_re, reset.r_im))
    a = np.zeros((cell.n_neurons, 0)) if cell.history is None else cell.history.a
    rows = (a_re, a_im, cell.c_re, c_im)
    return (
        *(np.ascontiguousarray(m.T) for m in rows),
        cell.d,
        *(np.ascontiguousarray(m.T) for m in (cell.thresholds, *taken, a)),
        np.array([reset.is_hard, reset.refractory], np.int64),
    )


def state(cell: StateSpaceCell, samples: int) -> tuple[NDArray[Any], ...]:
    """Modes, real and imaginary parts, (B, N, H); s, rest and pre-spikes of the past, (B, H)."""
    modes = (np.zeros((samples, cell.n_modes, cell.n_neurons)) for _ in range(2))
    rest = (np.zeros((samples, cell.n_neurons), np.int64) for _ in range(3))
    return (*modes, *rest)


def arrays(cell: StateSpaceCell) -> dict[str, FloatArray]:
    """What is stored of them, by name."""
    found: dict[str, FloatArray | None] = {}
    if cell.reset is not None:
        found |= {"reset.r_re": cell.reset.r_re, "reset.r_im": cell.reset.r_im}
    if cell.history is not None:
        found["history.a"] = cell.history.a
    if cell.multiplicity is not None:
        found["multiplicity.further"] = cell.multiplicity.further
    return {leaf: value for leaf, value in found.items() if value is not None}


def entry(cell: StateSpaceCell) -> dict[str, Any]:
    """What ``network.json`` says of them: nothing of a part that the cell lacks."""
    found: dict[str, Any] = {}
    if cell.reset is not None:
        found["reset"] = "hard" if cell.reset.is_hard else "soft"
        found["refractory"] = cell.reset.refractory
    if cell.history is not None:
        found["history"] = cell.history.steps
    found |= {"levels": cell.levels} if cell.multiplicity else {}
    return found | ({"differences": True} if cell.differences else {})


def rebuild(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The parts of a stored cell, as its keyword arguments; raises as a missing array does."""
    found: dict[str, Any] = {}
    if "reset" in entry:
        if entry["reset"] not in _RESETS:
            raise ValueError(f"a reset {entry['reset']!r}, none of {', '.join(_RESETS)}")
        soft = entry["reset"] == "soft"
        r_re, r_im = (arrays["reset.r_re"], arrays.get("reset.r_im")) if soft else (None, None)
        found["reset"] = Reset(r_re=r_re, r_im=r_im, refractory=entry["refractory"])
    if "history" in entry:
        found["history"] = History(a=arrays["history.a"])
    if "levels" in entry:
        found["multiplicity"] = Multiplicity(further=arrays["multiplicity.further"])
    found["differences"] = entry.get("differences", False)
    return found


def kick(cell: StateSpaceCell, timestep: float, steps: int) -> FloatArray:
    """The most that a soft reset adds to ``|membrane|``, (H,)::

        D sum_n |c_n| |abar_n| |r_n| / (1 - |abar_n|)
    """
    if cell.reset is None or cell.reset.r_re is None:
        return np.zeros(cell.n_neurons)
    c = np.hypot(cell.c_re, 0 if cell.c_im is None else cell.c_im)  # (H, N)
    r = np.hypot(cell.reset.r_re, 0 if cell.reset.r_im is None else cell.reset.r_im)
    decayed = r * np.exp(-timestep / cell.tau)
    reach = (c * decayed * leak_gain(cell.tau, timestep, steps)).sum(axis=1)
    return np.asarray(cell.levels * reach)


def raised(cell: StateSpaceCell, membrane: FloatArray) -> FloatArray:
    """h of each step, by which a history raises the thresholds; membrane (B, L, H), from k = 0."""
    if cell.history is None:
        return np.zeros(())
    total: FloatArray = np.zeros(membrane.shape)
    before = membrane > cell.theta  # p
    for j in range(1, min(cell.history.steps, membrane.shape[1] - 1) + 1):
        total[:, j:] += before[:, :-j] * cell.history.a[:, j - 1]
    return total


def words(cell: StateSpaceCell) -> str:
    """The modes and the parts, short: ``16, reset, history 4``."""
    found = [str(cell.n_modes)]
    found += [] if cell.reset is None else ["hard reset" if cell.reset.is_hard else "reset"]
    found += [] if cell.history is None else [f"history {cell.history.steps}"]
    found += [] if cell.multiplicity is None else [f"{cell.levels} levels"]
    found += ["differences"] if cell.differences else []
    return ", ".join(found)


def after_spike(cell: StateSpaceCell) -> str:
    """What a spike does to the membrane, and what else moves or counts, in words."""
    does = "does not reset it"
    if cell.reset is not None:
        does = "resets it to 0" if cell.reset.is_hard else "takes its r from each mode"
        rest = cell.reset.refractory
        does += f", and none comes for {rest} step{'s' * (rest > 1)}" if rest else ""
    if cell.history is not None:
        does += f"; θ moves with the {cell.history.steps} steps before"
    if cell.multiplicity is not None:
        does += f"; above θ are {cell.levels - 1} further thresholds, each for one more spike"
    if cell.differences:
        does += "; what is sent is by how many spikes a step has more than the one before"
    return does
