"""One signal through a network: state is kept between calls, every step has an answer."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.network import FloatArray, Network
from export.description.storage import digest
from export.samples.inputs import InputError, check_values
from export.software.simulation import advance
from export.software.states import at_rest
from export.streaming.confidence import Rule
from export.streaming.front import FrontEnd
from pynn_models.errors import SnnSsmError
from snn_ssm.files import read_sealed, seal_arrays, write_atomic

_STATE = "state of a session"
_REMEDY = "Start a new session."


class StreamError(SnnSsmError):
    """A session that cannot go on as asked, or a state that is not of its network."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the readout says after ``step`` steps of a sample, both counted from the first.

    ``scores`` (K,): the logits of what was read so far, those of the whole sample once it is whole.
    ``final``: nothing more comes for this sample, which is whole, or of which the session's rule
    has seen enough. ``confidence``: how sure, at the steps at which the rule asks; else NaN.
    """

    sample: int
    step: int
    scores: FloatArray
    final: bool = False
    confidence: float = float("nan")

    @property
    def label(self) -> int:
        """The class of the highest score, the first of equal ones."""
        return int(self.scores.argmax())


def check_endless(network: Network) -> None:
    """Raise :class:`StreamError` where an answer depends on the number of steps of a sample."""
    terms = network.readout.kind.terms
    if terms(network.steps) != terms(network.steps + 1):
        raise StreamError(
            f"the readout of this network is the {network.readout.pooling!r} of a sample's "
            f"{network.steps} steps, which has no end to be divided by; expected a readout of "
            "single steps for an endless signal. Train with model.pooling = \"last\", or let "
            "sample follow sample."
        )


def lengthened(network: Network, steps: int) -> Network:
    """The network for one signal of so many steps, as a single sample: what a simulator runs.

    Raises :class:`StreamError` as an endless session does.
    """
    check_endless(network)
    return replace(network, steps=steps)


def block_of(network: Network, values: ArrayLike) -> NDArray[np.generic]:
    """The values of some steps as an array (C, n); raises ``InputError``."""
    channels = network.source.channels
    try:
        block = np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"the values of a step are no array ({error}); expected {channels} numbers, one a "
            "channel. Give rows of equal length."
        ) from error
    if block.ndim != 2 or block.shape[0] != channels or block.dtype.kind not in "biuf":
        raise InputError(
            f"the values have shape {block.shape} and type {block.dtype}; expected numbers of "
            f"shape ({channels}, n), a row a channel and a column a step. Give one value a "
            "channel."
        )
    check_values(network, block[None])
    return block


class Session:
    """A network that reads a signal as it comes::

        state[k] = F(state[k-1], u[k]),   scores[k] = membrane of the readout at k / terms(k)

    F is the step of :mod:`export.software`, so the answers equal those of a run over the whole
    sample bit for bit. A sample has the network's number of steps; the step after its last is the
    first of the next sample, which starts at rest, as in a simulator.

    ``rule``: when an answer is good enough; the sample's further steps are then read and not
    computed. ``endless``: the signal is one sample without end.
    Raises :class:`StreamError` for an endless signal whose readout is a sum over all steps.
    """

    def __init__(
        self, network: Network, *, rule: Rule | None = None, endless: bool = False
    ) -> None:
        if endless:
            check_endless(network)
        self.network = network
        self.rule = rule
        self.endless = endless
        self.sample = 0
        self.taken = 0
        self.computed = 0
        """Steps that were computed so far, of all samples."""
        self._states = at_rest(network, 1)
        self._answer: Answer | None = None

    def restart(self) -> None:
        """Go to the first step of the next sample, at rest."""
        self.sample += 1
        self.taken = 0
        self._answer = None
        self._states.rest()

    def step(self, values: ArrayLike) -> Answer:
        """One step: the values of the channels, (C,). Raises ``InputError``."""
        return self.steps([[value] for value in np.ravel(values)])[0]

    def steps(self, values: ArrayLike) -> list[Answer]:
        """Some steps, (C, n): an answer each. Raises ``InputError``, and then none was taken."""
        block = block_of(self.network, values)
        encoded = self.network.source.kind.emit(self.network.source, block[None])  # (1, n, size)
        answers: list[Answer] = []
        while len(answers) < block.shape[1]:
            start = len(answers)
            answers += self._piece(encoded[:, start : start + self._until()])
        return answers

    def _until(self) -> int:
        """How many steps are alike: to the rule's next question, or the sample's last step."""
        asked = [k for k in (self.rule.steps if self.rule else ()) if k > self.taken]
        last = [] if self.endless else [self.network.steps]
        return min([*asked, *last], default=self.taken + 2**20) - self.taken

    def _piece(self, encoded: NDArray[np.generic]) -> list[Answer]:
        count = encoded.shape[1]
        at = range(self.taken + 1, self.taken + count + 1)
        if self._answer is not None:
            found = [replace(self._answer, step=k) for k in at]
        else:
            found = self._computed(encoded, at)
        self.taken += count
        if self.taken == self.network.steps and not self.endless:
            self.restart()
        return found

    def _computed(self, encoded: NDArray[np.generic], at: range) -> list[Answer]:
        name = self.network.readout.population
        membrane = advance(self.network, self._states, encoded, [name]).membranes[name][0]  # (n, K)
        self.computed += len(at)
        terms = self.network.readout.kind.terms
        found = [Answer(self.sample, k, y / terms(k)) for k, y in zip(at, membrane, strict=True)]
        last = at[-1]
        whole = last == self.network.steps and not self.endless
        confidence, enough = float("nan"), False
        if self.rule is not None and last in self.rule.steps:
            sure, suffices = self.rule.ask(last, found[-1].scores[None])
            confidence, enough = float(sure[0]), bool(suffices[0])
        found[-1] = replace(found[-1], final=whole or enough, confidence=confidence)
        if enough:
            self._answer = found[-1]
        return found

    def copy(self) -> Session:
        """A session in the same state that goes its own way."""
        other = copy.copy(self)
        other._states = self._states.copy()
        return other

    def save(self, path: Path, front: FrontEnd | None = None) -> None:
        """Write the state, and that of what the values come from, with a SHA-256 inside.

        The rule is not part of it.
        """
        arrays = {name: array[0] for name, array in self._states.arrays()}
        arrays |= {} if front is None else front.arrays()
        if self._answer is not None:
            arrays["answer"] = self._answer.scores
        metadata = {
            "network": digest(self.network),
            "endless": str(self.endless),
            "sample": str(self.sample),
            "taken": str(self.taken),
            "confidence": repr(self._answer.confidence) if self._answer else "",
        }
        write_atomic(Path(path), seal_arrays(arrays, metadata))

    @classmethod
    def load(
        cls, network: Network, path: Path, *, rule: Rule | None = None,
        front: FrontEnd | None = None,
    ) -> Session:
        """The session that :meth:`save` wrote, bit for bit; raises ``FileError``, StreamError.

        ``front``: takes its state, which the file then has to hold.
        """
        arrays, metadata = read_sealed(Path(path), _STATE, _REMEDY)
        if metadata.get("network") != digest(network):
            raise StreamError(
                f"{path} is the state of another network, or none. Load it with the network that "
                "it was saved with, or start a new session."
            )
        session = cls(network, rule=rule, endless=metadata.get("endless") == "True")
        try:
            session._restore(arrays, metadata)
            if front is not None:
                front.restore(arrays, endless=session.endless)
        except (KeyError, ValueError) as error:
            raise StreamError(
                f"{path} holds no state of this network ({error!r}). {_REMEDY}"
            ) from error
        return session

    def _restore(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
    ) -> None:
        """What :meth:`save` wrote; raises ``KeyError`` or ``ValueError`` for what it did not."""
        self.sample, self.taken = int(metadata["sample"]), int(metadata["taken"])
        longest = math.inf if self.endless else self.network.steps - 1
        if self.sample < 0 or not 0 <= self.taken <= longest:
            raise ValueError(f"sample {self.sample}, step {self.taken}")
        for name, array in self._states.arrays():
            found = arrays[name]
            if (found.shape, found.dtype) != (array.shape[1:], array.dtype):
                raise ValueError(f"{name} of {found.dtype} and shape {found.shape}")
            array[0] = found
        if "answer" in arrays:
            size = self.network.population(self.network.readout.population).size
            if arrays["answer"].shape != (size,):
                raise ValueError(f"an answer of shape {arrays['answer'].shape}")
            self._answer = Answer(
                self.sample, self.taken, arrays["answer"], True, float(metadata["confidence"])
            )


def stream(network: Network, *, rule: Rule | None = None, endless: bool = False) -> Session:
    """A :class:`Session` at the first step of its first sample."""
    return Session(network, rule=rule, endless=endless)
