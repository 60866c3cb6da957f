"""The signals and neurons of a graph: what every node sends, in the terms of what neurons sent."""

from __future__ import annotations

import numpy as np

from export.description.network import FloatArray, Source
from export.interchange.errors import InterchangeError
from export.interchange.nodes import NODES, NodeRule, Stage
from export.interchange.nodes.kind import Arriving
from export.interchange.semantics import Sender
from export.interchange.signals import LARGEST, Signal, Tap, sent_by
from export.interchange.wiring import INPUT, OUTPUT, Wiring, type_of

Shape = tuple[int, ...]


class Reader:
    """Reads one graph: ``signal(name)``, what a node sends; ``neurons()``, its stages by node."""

    def __init__(self, wiring: Wiring, source: Source, sender: Sender) -> None:
        self.wiring, self.source, self.sender = wiring, source, sender
        self._signals: dict[str, Signal] = {}
        self._waiting: set[str] = set()
        self._stages: dict[str, list[Stage]] = {}
        self._counting: set[str] = set()
        self._shapes = self._find_shapes()

    def rule(self, name: str) -> NodeRule | None:
        """How a node is read; None for an input or output."""
        kind = type_of(self.wiring.nodes[name])
        return None if kind in (INPUT, OUTPUT) else NODES[kind]

    def is_neurons(self, name: str) -> bool:
        """Whether a node is of neurons."""
        rule = self.rule(name)
        return rule is not None and rule.neurons is not None

    def stages(self, name: str) -> list[Stage]:
        """The neurons of a node; none of one that has none."""
        if name not in self._stages:
            rule, node = self.rule(name), self.wiring.nodes[name]
            if rule is None or rule.neurons is None:
                return []
            size = int(np.prod(self._shapes[name]))
            arriving = Arriving(size, lambda: self._most(name))
            self._stages[name] = rule.neurons(name, node, arriving, self.sender)
        return self._stages[name]

    def signal(self, name: str) -> Signal:
        """What a node sends."""
        if name in self._signals:
            return self._signals[name]
        if name == self.wiring.source:
            found = sent_by(name, self._shapes[name], False)
        elif self.is_neurons(name):
            silent = not np.isfinite(self.stages(name)[-1].cell.theta).any()
            found = sent_by(name, self._shapes[name], silent)
        else:
            found = self._passed(name)
        self._signals[name] = found
        return found

    def _passed(self, name: str) -> Signal:
        if name in self._waiting:
            raise InterchangeError(
                f"node {name!r} is in a cycle without neurons, in which nothing takes time; "
                "expected neurons, or a Delay, in every cycle. Add a Delay."
            )
        self._waiting.add(name)
        arriving, rule = self.arriving(name), self.rule(name)
        self._waiting.discard(name)
        if rule is None or rule.maps is None:
            return arriving
        return rule.maps(name, self.wiring.nodes[name], arriving, self.sender)

    def arriving(self, name: str) -> Signal:
        """The sum of what arrives at a node."""
        found = [self.signal(before) for before in self.wiring.before[name]]
        for before, signal in zip(self.wiring.before[name], found, strict=True):
            if signal.shape != found[0].shape:
                raise InterchangeError(
                    f"node {name!r}: what arrives from {before!r} has shape {signal.shape}, and "
                    f"from {self.wiring.before[name][0]!r} {found[0].shape}; expected one shape. "
                    "Check the edges."
                )
        total = found[0]
        for other in found[1:]:
            total = total.plus(other)
        return total

    def _most(self, name: str) -> FloatArray:
        """The largest sum that a step can bring to a node of neurons, (H,)."""
        if name in self._counting:
            return np.full(int(np.prod(self._shapes[name])), np.inf)
        self._counting.add(name)
        signal = self.arriving(name)
        total = np.maximum(signal.constant, 0)
        for tap, found in signal.taps.items():
            above = np.maximum(found.values, 0).sum(axis=1)
            total = total + np.where(above > 0, above * self._peak(tap), 0)
        self._counting.discard(name)
        return total

    def _peak(self, tap: Tap) -> float:
        if tap.graded or (tap.source == self.wiring.source and self.source.kind.currents):
            return np.inf
        return 1 if tap.source == self.wiring.source else self.stages(tap.source)[-1].cell.levels

    def _find_shapes(self) -> dict[str, Shape]:
        """The shape of what each node sends, from the input on; edges that go back are passed over.
        """
        shapes = {self.wiring.source: input_shape(self.wiring)}
        waiting = list(self._after(self.wiring.source))
        while waiting:
            name = waiting.pop(0)
            if name in shapes:
                continue
            before = next(b for b in self.wiring.before[name] if b in shapes)
            shapes[name] = self._shape(name, shapes[before])
            waiting += self._after(name)
        for name in self.wiring.nodes:
            if name not in shapes:
                raise InterchangeError(
                    f"node {name!r} is not reached from the input; expected a path to it. Leave it "
                    "out, or join it to the input."
                )
        return shapes

    def _after(self, name: str) -> list[str]:
        return [node for node, before in self.wiring.before.items() if name in before]

    def _shape(self, name: str, shape: Shape) -> Shape:
        rule = self.rule(name)
        if rule is None or rule.maps is None:
            return shape
        blank = Signal(shape, {}, np.zeros(int(np.prod(shape))))
        return rule.maps(name, self.wiring.nodes[name], blank, self.sender).shape


def input_shape(wiring: Wiring) -> Shape:
    """The shape of what the input sends, a step at a time."""
    found = np.asarray(wiring.nodes[wiring.source].input_type["input"])
    sound = found.dtype.kind in "iu" and found.ndim == 1 and found.size > 0
    if not (sound and (found > 0).all() and np.prod(found.astype(float)) <= LARGEST):
        raise InterchangeError(
            f"node {wiring.source!r}: the input has the shape {found.tolist()!r:.80}; expected "
            "positive sizes, those of one step of one sample."
        )
    return tuple(int(n) for n in found)
