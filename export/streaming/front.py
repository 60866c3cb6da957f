"""Recordings as they come, as what a network reads: encoded step by step, as in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.network import Network
from export.samples.inputs import InputError
from export.samples.task import task_of
from snn_ssm.tasks.encoders import ENCODERS
from snn_ssm.tasks.encoders.kind import State

_NAMES = "front end: "  # of the arrays of a state
_TAKEN = f"{_NAMES}taken"


class FrontEnd:
    """Every ``task.stride``-th step of a recording, by ``task.encode``, as the steps come::

        session.steps(front.steps(recorded))

    What comes out is, bit for bit, what is made of the whole recording. A sample is of ``recorded``
    steps of the recording, the network's steps times stride and hop, after which the encoder begins
    anew; ``endless``: the recording is one sample without end.
    """

    def __init__(self, network: Network, *, endless: bool = False) -> None:
        self.task = task_of(network)
        self.endless = endless
        self.recorded = network.steps * self.task.stride * self._hop
        self.channels = self._recorded_channels(network.source.channels)
        """Of the recording."""
        self._encoded = network.source.channels
        self._taken = 0
        self._state: State = {}

    @property
    def _hop(self) -> int:
        return self.task.encode_hop if self.task.encode != "none" else 1

    def _recorded_channels(self, encoded: int) -> int:
        if self.task.encode == "none":
            return encoded
        return encoded // ENCODERS[self.task.encode].channels(self.task.encode_size)

    def words(self) -> str:
        """What a step of the recording has to be, and how many are one of the network."""
        task, many = self.task, self.task.stride * self._hop
        names = f" of {', '.join(task.columns)}" if task.columns else ""
        encoded = f"; they are encoded by {task.encode!r}" if task.encode != "none" else ""
        steps = f", {many} lines a step" if many > 1 else ""
        return f"a line holds recorded values{names}{encoded} as in training{steps}"

    def steps(self, values: ArrayLike) -> NDArray[Any]:
        """Some recorded steps, (C, n) -> (C', n'), those of the network's steps that are whole.

        Raises :class:`InputError`, and then none was taken.
        """
        block = self._checked(values)
        pieces: list[NDArray[Any]] = [np.zeros((self._encoded, 0), np.uint8)]
        while block.shape[1]:
            count = block.shape[1] if self.endless else self.recorded - self._taken
            pieces += self._piece(block[:, :count])
            block = block[:, count:]
        return np.concatenate(pieces[1:] or pieces, axis=1)

    def _checked(self, values: ArrayLike) -> NDArray[np.float64]:
        names = f": {', '.join(self.task.columns)}" if self.task.columns else ""
        expected = f"expected {self.channels} a step, one a channel{names}. Give one a channel."
        try:
            block = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"recorded values are no numbers ({error}); {expected}") from error
        if block.ndim != 2 or len(block) != self.channels:
            raise InputError(f"recorded values have shape {block.shape}; {expected}")
        if not np.isfinite(block).all():
            raise InputError(f"recorded values are not all finite numbers; {expected}")
        return block

    def _piece(self, block: NDArray[np.float64]) -> list[NDArray[Any]]:
        """Steps of one sample, where there are any to encode."""
        task = self.task
        found: NDArray[Any] = block[:, -self._taken % task.stride :: task.stride]
        self._taken += block.shape[1]
        if task.encode != "none" and found.shape[1]:
            found = ENCODERS[task.encode].onwards(found[None], task, self._state)[0]
        if self._taken == self.recorded and not self.endless:
            self._taken, self._state = 0, {}
        return [found] if found.shape[1] else []

    def arrays(self) -> State:
        """The state, to be kept beside that of a session."""
        return {_TAKEN: np.array([self._taken]), **{
            f"{_NAMES}{name}": array.astype(np.float64) for name, array in self._state.items()
        }}

    def restore(self, arrays: Mapping[str, NDArray[Any]], *, endless: bool) -> None:
        """Take the state among a session's; raises ``KeyError`` or ``ValueError`` for none."""
        taken, self.endless = int(arrays[_TAKEN][0]), endless
        if taken < 0 or (taken >= self.recorded and not endless):
            raise ValueError(f"recorded step {taken}")
        state: State = {}
        if taken and self.task.encode != "none":
            # As long a piece as leaves as much of a hop behind.
            kept = -(-taken // self.task.stride)
            like = np.zeros((1, self.channels, (kept - 1) % self._hop + 1))
            ENCODERS[self.task.encode].onwards(like, self.task, state)
        for name, array in state.items():
            found = arrays[f"{_NAMES}{name}"]
            if found.shape != array.shape or not np.isfinite(found).all():
                raise ValueError(f"{name} of shape {found.shape}")
            state[name] = found.astype(array.dtype)
        self._taken, self._state = taken, state


def front_end(network: Network, *, endless: bool = False) -> FrontEnd | None:
    """What own recordings go through before a network reads them; None where it reads them as they
    are, which samples of other tasks always are."""
    task = task_of(network)
    changed = task.encode != "none" or task.stride > 1
    return FrontEnd(network, endless=endless) if task.name == "own" and changed else None
