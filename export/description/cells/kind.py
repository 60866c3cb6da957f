"""What a kind of cell is: what every room needs to know of its neurons."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pynn_models.cells import Branches, StateSpaceCell

FloatArray = NDArray[np.float64]


class Cell(Protocol):
    """H neurons of one kind: what all kinds have."""

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""

    @property
    def theta(self) -> FloatArray:
        """Thresholds, (H,); inf: the neuron never spikes."""

    @property
    def bias(self) -> FloatArray:
        """The constant current, (H,)."""

    @property
    def branches(self) -> Branches | None:
        """The gated inputs, if there are any."""

    @property
    def levels(self) -> int:
        """The most spikes of a neuron in a step; above 1 they are sent as multiplicity."""

    def __hash__(self) -> int:
        """Of its identity: a cell never changes."""


def _no_fault(cell: Any) -> str:
    return ""


def _none(cell: Any, timestep: float, steps: int) -> FloatArray:
    return np.zeros(cell.n_neurons)


def _theta(cell: Any) -> FloatArray:
    found: FloatArray = cell.theta[:, None]
    return found


def _still(cell: Any, membrane: FloatArray) -> FloatArray:
    return np.zeros(())


def _no_parts(cell: Any) -> tuple[str, ...]:
    return ()


def _never(cell: Any) -> bool:
    return False


def whole(membrane: FloatArray, spikes: NDArray[Any]) -> FloatArray:
    """A membrane that is sent as it is, at each step."""
    return membrane


def _nothing(cell: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Family:
    """A name by which a network and ``--cells`` ask for spiking cells of a kind.

    ``fault(cell)``: what a cell of the kind has that this family's cannot have, in words; empty
    where there is none. ``streams``: a simulator can set the neurons to rest, so that samples
    stream one after another, and the readout is neurons too.
    """

    name: str
    fault: Callable[[Any], str] = _no_fault
    streams: bool = False


@dataclass(frozen=True)
class CellKind:
    """A kind of cell, ``cell`` its class, a frozen dataclass with the equations in its docstring.

    ``name``: in ``network.json``. ``arrays(cell)``: what is stored, by name;
    ``entry(cell)``: the numbers that describe it beside them, in ``network.json``;
    ``rebuild(entry, arrays)``: the cell of both.
    ``loop(cell)``: the step over a sequence, ``loop(u, *constants, *state, spikes, membrane)`` with
    u and spikes (B, L, H) and membrane alike or empty, in Python that numba can compile;
    ``constants(cell, timestep)``: its constants; ``state(cell, samples)``: B samples at rest,
    arrays (B, ...) that the loop leaves as they are after the last step, so that it can go on.
    ``gain(cell, timestep, steps)``: the largest ``|membrane|`` of an input of ``|u| <= 1``, (H,),
    to which spikes add ``kick(cell, timestep, steps)`` at most, (H,);
    ``linear(cell)``: its modes as a state-space cell, without what is not linear, for figures;
    ``modes(cell)``: their number, in words. ``after_spike(cell)``: what a spike does, in words.
    ``feedback(cell)``: the optional parts by which spikes act back on it, by name.
    ``thresholds(cell)``: (H, D), ascending; ``raised(cell, membrane)``: by how much they are all
    higher in each step of membranes (B, L, H).
    ``sends(membrane, spikes)``: what a graded projection carries of them, shaped alike; None: it
    can have none. ``events``: those are values of its spikes, 0 without one, and may be late;
    ``differences(cell)``: whether its spikes are sent as differences from one step to the next.
    ``receptors``: the names of those that it has besides the input and those of branches; the loop
    is then given the sums at all of them, u (B, L, (1 + R) H), the input and its bias first, and
    adds the others' constants. ``families``: see :class:`Family`.
    """

    name: str
    cell: type[Any]
    families: tuple[Family, ...]
    arrays: Callable[[Any], Mapping[str, FloatArray]]
    rebuild: Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], Any]
    loop: Callable[[Any], Callable[..., None]]
    constants: Callable[[Any, float], tuple[NDArray[Any], ...]]
    state: Callable[[Any, int], tuple[NDArray[Any], ...]]
    gain: Callable[[Any, float, int], FloatArray]
    linear: Callable[[Any], StateSpaceCell]
    modes: Callable[[Any], str]
    after_spike: Callable[[Any], str]
    entry: Callable[[Any], dict[str, Any]] = _nothing
    kick: Callable[[Any, float, int], FloatArray] = _none
    feedback: Callable[[Any], tuple[str, ...]] = _no_parts
    thresholds: Callable[[Any], FloatArray] = _theta
    raised: Callable[[Any, FloatArray], FloatArray] = _still
    sends: Callable[[FloatArray, NDArray[Any]], FloatArray] | None = None
    events: bool = False
    receptors: tuple[str, ...] = ()
    differences: Callable[[Any], bool] = _never

    def distance(self, cell: Any, membrane: FloatArray) -> FloatArray:
        """How far a membrane (B, L, H) from a sample's start is from the nearest threshold."""
        above = membrane - self.raised(cell, membrane)
        each = (np.abs(above - theta) for theta in self.thresholds(cell).T)
        return functools.reduce(np.minimum, each)


def leak_gain(tau: FloatArray, timestep: float, steps: int) -> FloatArray:
    """``1 / (1 - exp(-dt/tau))``; for what does not leak the ``steps`` of a sample."""
    leak = -np.expm1(-timestep / tau)
    return np.where(leak > 0, 1 / np.where(leak > 0, leak, 1), steps)
