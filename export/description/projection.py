"""Projections: the synapses from one population to another, or to itself.

Each is checked by itself when made; what holds between it and its ends is
:mod:`export.description.network`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.parts import INPUT_RECEPTOR, FloatArray, NetworkError

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

LONGEST_DELAY = 2**24  # steps: beyond it a slip


class Synapses(NamedTuple):
    """The synapses of a projection one by one, (K,) each, in order of source, then of target."""

    sources: IntArray
    targets: IntArray
    weights: FloatArray
    delays: IntArray


@dataclass(frozen=True, eq=False)
class Projection:
    """Signed weights (pre, post), and a delay in steps: what j receives at its input is

        sum_i w_ij s_i[t - delay_ij],   t the simulator's step

    over the synapses that exist: all, or those where ``mask`` (pre, post) is true, of which a
    weight may be 0; elsewhere the weights are 0. ``delay``: one for all, or (pre, post), one a
    synapse; where all are alike the projection keeps the one, and where the mask is true everywhere
    None. ``receptor``: ``input``, or ``value0``, ``gate0``, ``value1``, ... of the target's
    branches. ``graded``: what is sent is the source's membrane y of each step, not its spikes.
    Raises :class:`NetworkError` for shapes that differ, a weight that is not finite, a delay that
    is no whole number of at least 1 step.
    """

    source: str
    target: str
    weights: FloatArray
    delay: int | IntArray
    receptor: str = INPUT_RECEPTOR
    graded: bool = False
    mask: BoolArray | None = None

    def __post_init__(self) -> None:
        weights = self._own_weights()
        if weights.ndim != 2:
            raise NetworkError(f"{self}: weights of shape {weights.shape}; expected (pre, post).")
        bad = ~np.isfinite(weights)
        if bad.any():
            i, j = (int(v) for v in np.argwhere(bad)[0])
            raise NetworkError(
                f"{self}: weight [{i}, {j}] is {weights[i, j]}; expected a finite number. "
                "Training diverged or the file was altered: export a sound checkpoint."
            )
        mask = self._checked_mask(weights)
        delay = self._checked_delay(weights.shape, mask)
        if mask is not None:
            weights[~mask] = 0.0
            mask.flags.writeable = False
        if not isinstance(delay, int):
            delay.flags.writeable = False
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "delay", delay)

    def _own_weights(self) -> FloatArray:
        """The weights as they are if nobody can write to them, else a copy."""
        given = np.asarray(self.weights)
        whole = given if given.base is None else given.base
        frozen = isinstance(whole, np.ndarray) and not whole.flags.writeable
        plain = given.dtype == np.float64 and given.flags.c_contiguous
        if frozen and plain and self.mask is None:
            return given
        return np.array(given, dtype=np.float64, order="C")

    def _checked_mask(self, weights: FloatArray) -> BoolArray | None:
        if self.mask is None:
            return None
        mask = np.array(self.mask, order="C")
        if mask.shape != weights.shape or mask.dtype != np.bool_:
            raise NetworkError(
                f"{self}: a mask of {mask.dtype} and shape {mask.shape}; expected bool, one a "
                f"weight, {weights.shape}."
            )
        return None if mask.all() else mask

    def _checked_delay(self, shape: tuple[int, ...], mask: BoolArray | None) -> int | IntArray:
        given: ArrayLike = self.delay
        found = np.asarray(given)
        if found.dtype.kind not in "iu" or (found.ndim > 0 and found.shape != shape):
            raise NetworkError(
                f"{self}: delays of {found.dtype} and shape {found.shape}; expected whole numbers "
                f"of steps, one for all or one a weight, {shape}."
            )
        delays = np.array(found, dtype=np.int64, order="C")
        if delays.ndim > 0 and mask is not None:
            delays[~mask] = 0
        exist = delays[mask] if delays.ndim > 0 and mask is not None else delays.ravel()
        if exist.size == 0:
            raise NetworkError(
                f"{self}: a delay a synapse, but there is no synapse; leave the projection out, or "
                "give one delay."
            )
        if not 1 <= exist.min() <= exist.max() <= LONGEST_DELAY:
            wrong = int(exist.min() if exist.min() < 1 else exist.max())
            raise NetworkError(
                f"{self}: delay {wrong}; expected at least 1 step"
                + (f", and at most {LONGEST_DELAY}." if wrong > 1 else ".")
            )
        return int(exist[0]) if (exist == exist[0]).all() else delays

    def __str__(self) -> str:
        at = "" if self.receptor == INPUT_RECEPTOR else f" ({self.receptor})"
        return f"projection {self.source!r} -> {self.target!r}{at}"

    @property
    def n_synapses(self) -> int:
        """How many synapses are made: all, but of a full graded matrix those with a weight."""
        if self.graded and not self.sparse:
            return int(np.count_nonzero(self.weights))
        return self.weights.size if self.mask is None else int(self.mask.sum())

    @property
    def sparse(self) -> bool:
        """Whether it is no full matrix of one delay, so that synapses are kept one by one."""
        return self.mask is not None or not isinstance(self.delay, int)

    @property
    def shortest_delay(self) -> int:
        """The shortest delay of a synapse, in steps; of no synapses, that of the projection."""
        return self.delay if isinstance(self.delay, int) else int(self._existing().min())

    @property
    def longest_delay(self) -> int:
        """The longest delay of a synapse, in steps."""
        return self.delay if isinstance(self.delay, int) else int(self._existing().max())

    def _existing(self) -> IntArray:
        delays = np.asarray(self.delay)
        return delays.ravel() if self.mask is None else delays[self.mask]

    def by_lag(self, lead: int, values: NDArray[Any]) -> list[tuple[int, NDArray[Any]]]:
        """Each lag, and of ``values`` (pre, post) those of its synapses, 0 elsewhere.

        ``lead``: the delay of lag 0.
        """
        if isinstance(self.delay, int):
            return [(self.delay - lead, values)]
        delays = self.delay
        return [
            (int(delay) - lead, np.where(delays == delay, values, np.zeros_like(values)))
            for delay in np.unique(self._existing())
        ]

    def synapses(self) -> Synapses:
        """The synapses that exist, one by one."""
        mask = np.ones(self.weights.shape, np.bool_) if self.mask is None else self.mask
        sources, targets = np.nonzero(mask)
        delays = np.broadcast_to(np.asarray(self.delay, np.int64), mask.shape)
        return Synapses(sources, targets, self.weights[mask], delays[mask])
