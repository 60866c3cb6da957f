"""State-space cells: a leaky integrator for each part of a mode, and a threshold.

A mode ``x' = lambda x + u``, ``lambda = -1/tau + i omega``, is two nodes ``LI``, each of which
pushes the other::

    tau Re x' = -Re x + (tau / dt) (u - omega dt Im x)
    tau Im x' = -Im x + (tau / dt)    (omega dt Re x)

A value u that is held for one step lifts the mode by u, as it does in the cell. The membrane sums
``c_re Re x - c_im Im x + d u``, and a soft reset sends ``-abar r`` to the modes one step after a
spike. Modes that do not leak are nodes ``I``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.description.network import FloatArray, Population
from export.interchange.cells.kind import CellRule, Ports
from export.interchange.cells.leaky import add_neurons
from pynn_models.cells import Reset, StateSpaceCell, propagator

if TYPE_CHECKING:
    from export.interchange.graph import Draft


def _fault(cell: StateSpaceCell) -> str:
    if cell.branches is not None:
        return f"gated inputs ({cell.branches.kind}): a product of two sums"
    if cell.history is not None:
        return "a threshold history"
    if cell.differences:
        return "spikes sent as differences, which who receives them adds up"
    if cell.multiplicity is not None:
        return "integer spikes, sent as multiplicity"
    if cell.reset is None:
        return ""
    if cell.reset.refractory:
        return "a refractory time"
    leaks = np.isfinite(cell.tau)
    plain = cell.n_modes == 1 and not cell.is_complex and not cell.d.any()
    if cell.reset.is_hard and not (plain and leaks.all() == leaks.any()):
        return "a hard reset of other neurons than leaky ones of one real mode without d"
    return ""


def _write(draft: Draft, population: Population) -> Ports:
    cell = population.state_space
    if cell.reset is not None and cell.reset.is_hard:
        return add_neurons(draft, population.name, cell.tau[:, 0], cell.theta, cell.c_re[:, 0])
    modes = [_Mode(draft, population.name, cell, n) for n in range(cell.n_modes)]
    inputs = [mode.re for mode in modes]
    sends = [pair for mode in modes for pair in mode.shown]
    if cell.d.any() or not modes:
        inputs.append(draft.add(f"{population.name}_d", draft.nir.Scale(cell.d)))
        sends.append(inputs[-1])
    membrane = _sum(draft, population.name, sends)
    if not population.spikes:
        return Ports(tuple(inputs), None, membrane)
    spikes = draft.add(population.name, draft.nir.Threshold(cell.theta))
    draft.join(membrane, spikes)
    if cell.reset is not None:
        _take(draft, population.name, cell.reset, modes, spikes)
    return Ports(tuple(inputs), spikes, membrane)


def _sum(draft: Draft, name: str, sends: list[str]) -> str:
    """The node that sends what all of these do together."""
    if len(sends) == 1:
        return sends[0]
    total = draft.add(f"{name}_membrane", draft.nir.Scale(np.ones(draft.size(sends[0]))))
    for node in sends:
        draft.join(node, total)
    return total


class _Mode:
    """The nodes of mode n of H neurons; ``re``, ``im``: its parts; ``shown``: parts times c."""

    def __init__(self, draft: Draft, name: str, cell: StateSpaceCell, n: int) -> None:
        self.draft, self.name = draft, f"{name}_mode{n}"
        self.tau = cell.tau[:, n]
        omega = None if cell.omega is None else cell.omega[:, n]
        self.poles = propagator(self.tau, omega, draft.timestep)
        self.re = self._integrator("re")
        self.shown = [self._times(self.re, cell.c_re[:, n], "c_re")]
        self.im: str | None = None
        if omega is not None and cell.c_im is not None:
            self.im = self._integrator("im")
            turn = omega * draft.timestep
            self._between(self.re, self.im, turn, "turn_re")
            self._between(self.im, self.re, -turn, "turn_im")
            self.shown.append(self._times(self.im, -cell.c_im[:, n], "c_im"))

    def _integrator(self, part: str) -> str:
        """What leaks with tau; without leak where a tau is infinite, and then by a connection."""
        nir, dt, zero = self.draft.nir, self.draft.dt, np.zeros_like(self.tau)
        seconds = self.draft.seconds(self.tau)
        exact = {"pole_re": self.poles[0], "pole_im": self.poles[1]}
        if np.isfinite(self.tau).all():
            node = nir.LI(tau=seconds, r=seconds / dt, v_leak=zero, metadata=exact)
            return self.draft.add(f"{self.name}_{part}", node)
        added = self.draft.add(f"{self.name}_{part}", nir.I(r=zero + 1 / dt, metadata=exact))
        if np.isfinite(self.tau).any():
            self._between(added, added, -dt / seconds, f"leak_{part}")
        return added

    def _times(self, node: str, factor: FloatArray, what: str) -> str:
        if (factor == 1).all():
            return node
        added = self.draft.add(f"{self.name}_{what}", self.draft.nir.Scale(factor))
        self.draft.join(node, added)
        return added

    def _between(self, source: str, target: str, factor: FloatArray, what: str) -> None:
        added = self.draft.add(f"{self.name}_{what}", self.draft.nir.Scale(factor))
        self.draft.join(source, added)
        self.draft.join(added, target)

    def take(self, spikes: str, factor: FloatArray, part: str) -> None:
        """What a spike of the step before adds to a part of it."""
        self._between(spikes, self.re if part == "re" else str(self.im), factor, f"reset_{part}")


def _take(draft: Draft, name: str, reset: Reset, modes: list[_Mode], spikes: str) -> None:
    """``x[k] = abar x[k-1] + u[k] - abar r s[k-1]``, the last term by a delay of one step."""
    late = draft.add(f"{name}_before", draft.nir.Delay(np.full(draft.size(spikes), draft.dt)))
    draft.join(spikes, late)
    for n, mode in enumerate(modes):
        r: Any = np.asarray(reset.r_re)[:, n]
        if reset.r_im is not None:
            r = r + 1j * reset.r_im[:, n]
        taken = -(mode.poles[0] + 1j * mode.poles[1]) * r
        mode.take(late, taken.real, "re")
        if mode.im is not None:
            mode.take(late, taken.imag, "im")


STATE_SPACE = CellRule("state-space", fault=_fault, write=_write)
