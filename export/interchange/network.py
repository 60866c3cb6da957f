"""A NIR graph -> a network: a node of neurons is a population, all paths between two a projection.

What NIR leaves open, a step, is the sender's (:mod:`export.interchange.semantics`). Within a step
of his, spikes go through all layers; here each population waits for those before it, so that its
latency is the number of populations on the longest way from the input, and lags are 0. A ``Delay``,
or a sender's connection of neurons to themselves, is a lag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from export.description.network import (
    FloatArray,
    Network,
    Population,
    Projection,
    Readout,
    Source,
)
from export.description.readouts import POOLINGS
from export.interchange.errors import InterchangeError
from export.interchange.nodes import NODES, Stage
from export.interchange.reading import Reader, input_shape
from export.interchange.schedule import latencies
from export.interchange.semantics import SEMANTICS, Sender
from export.interchange.semantics.exact import EXACT
from export.interchange.signals import Map, Signal, Tap, sent_by
from export.interchange.stamp import is_ours, network_of_graph
from export.interchange.wiring import Wiring, type_of, wiring_of
from export.lowering.affine import Affine, on_grid
from export.lowering.affine import Tap as GridTap

READOUT = "readout"
ENCODINGS = ("current", "spikes")


@dataclass(frozen=True)
class Options:
    """What a graph may leave open; ``None``: what it says itself.

    ``semantics``: who sends it (:data:`export.interchange.SEMANTICS`); ``dt``: his step in s;
    ``steps`` of a sample; ``encoding``: ``spikes`` where the input is 0 or 1, else ``current``;
    ``timestep`` of the simulator in ms.
    """

    semantics: str | None = None
    dt: float | None = None
    steps: int | None = None
    encoding: str | None = None
    timestep: float | None = None


def from_nir(graph: Any, options: Options | None = None, where: str = "the graph") -> Network:
    """The network of a graph; of one that :func:`to_nir` made, the same to the last bit.

    Raises :class:`InterchangeError` for all that is open, unknown, or none of our neurons can do.
    """
    options = options or Options()
    if is_ours(graph):
        _refuse_options(options, where)
        return network_of_graph(graph, where)
    wiring = wiring_of(graph, where)
    options = _with_metadata(options, graph.metadata, where)
    sender = _sender(wiring, options, where)
    shape, encoding = input_shape(wiring), options.encoding or ENCODINGS[0]
    if encoding not in ENCODINGS:
        raise InterchangeError(
            f"the input {encoding!r} is unknown; use one of {', '.join(ENCODINGS)}."
        )
    source = Source(_plain(wiring.source, set()), encoding, int(np.prod(shape)))
    steps = _steps(options, where)
    try:
        return _Assembly(Reader(wiring, source, sender), source, sender).network(steps)
    except RecursionError as error:
        raise InterchangeError(
            f"{where}: too many nodes stand behind one another. Multiply linear nodes out, or use "
            "fewer layers."
        ) from error


def _refuse_options(options: Options, where: str) -> None:
    given = [name for name, value in vars(options).items() if value is not None]
    if given and not (given == ["semantics"] and options.semantics == EXACT.name):
        raise InterchangeError(
            f"{where} is a whole network of ours, which says its {given[0]} itself. Leave it out."
        )


def _with_metadata(options: Options, metadata: Mapping[str, Any], where: str) -> Options:
    """What the graph says of itself, where nothing else was given."""
    for name, kind in (("semantics", str), ("dt", float), ("steps", int)):
        if name not in metadata:
            continue
        said, given = np.asarray(metadata[name]), getattr(options, name)
        if said.ndim or said.dtype.kind not in {str: "US", float: "fiu", int: "iu"}[kind]:
            raise InterchangeError(
                f"{where}: {name} in its metadata is {metadata[name]!r:.80}; expected one "
                f"{'name' if kind is str else 'number'}."
            )
        value = kind(said.item())
        if given is not None and given != value:
            raise InterchangeError(
                f"{where} says {name} {value!r}, and {given!r} was given. Leave that out."
            )
        changed: dict[str, Any] = {name: value}
        options = replace(options, **changed)
    return options


def _steps(options: Options, where: str) -> int:
    if options.steps is None:
        raise InterchangeError(
            f"{where} does not say how many steps a sample has. Give --steps."
        )
    return options.steps


def _sender(wiring: Wiring, options: Options, where: str) -> Sender:
    timestep = 1.0 if options.timestep is None else options.timestep
    if options.semantics is None:
        timed = [n for n, node in wiring.nodes.items() if _timed(node)]
        if timed:
            raise InterchangeError(
                f"{where}: NIR does not say what node {timed[0]!r}, a "
                f"{type_of(wiring.nodes[timed[0]])}, does in a step, and its metadata does not say "
                f"who sent it. Give --semantics: {', '.join(SEMANTICS)}."
            )
        return Sender(EXACT, 1.0, timestep)
    semantics = SEMANTICS[options.semantics]
    dt = semantics.dt if options.dt is None else options.dt
    if dt is None:
        raise InterchangeError(
            f"{where}: its metadata does not say how long a step is, and {semantics.name} has no "
            "step of its own. Give --dt, in seconds."
        )
    return Sender(semantics, dt, timestep)


def _origin(semantics: str, steps: int) -> dict[str, Any]:
    return {"task": {"name": "own", "steps": steps}, "semantics": semantics}


def _timed(node: Any) -> bool:
    rule = NODES.get(type_of(node))
    return rule is not None and rule.timed


def _plain(name: str, taken: set[str]) -> str:
    """A population's name: that of a node, with ``_`` for what parts names in files."""
    plain = "".join(c if c.isprintable() and c not in "./ " else "_" for c in name) or "_"
    found, number = plain, 2
    while found in taken:
        found, number = f"{plain}_{number}", number + 1
    taken.add(found)
    return found


class _Assembly:
    """The parts of a network, as a graph's nodes are read."""

    def __init__(self, reader: Reader, source: Source, sender: Sender) -> None:
        self.reader, self.source, self.sender = reader, source, sender
        wiring = reader.wiring
        taken = {source.name, READOUT}
        self.names = {wiring.source: source.name}
        self.stages: dict[str, Stage] = {}
        self.arriving: dict[str, Signal] = {}
        for node in wiring.nodes:
            if reader.is_neurons(node):
                self._add(node, taken)

    def _add(self, node: str, taken: set[str]) -> None:
        """The populations of a node, each fed by the one before it."""
        arriving, stages = self._lagged(node), self.reader.stages(node)
        for stage in stages:
            name = _plain(f"{node}{stage.suffix}", taken)
            self.stages[name], self.arriving[name] = stage, arriving
            arriving = sent_by(name, arriving.shape, True)
        self.names[node] = name

    def _lagged(self, node: str) -> Signal:
        """What arrives at neurons; what they send to themselves at once comes a step later, if the
        sender says so."""
        arriving = self.reader.arriving(node)
        own = [tap for tap in arriving.taps if tap.source == node and tap.lag == 0]
        if own and not self.sender.semantics.loops:
            raise InterchangeError(
                f"node {node!r} sends to itself without a Delay, and with the semantics "
                f"{self.sender.semantics.name} that is no step of time; expected a Delay in every "
                "cycle. Add one."
            )
        taps: dict[Tap, Map] = {}
        for tap, found in arriving.taps.items():
            late = tap._replace(lag=1) if tap in own else tap
            taps[late] = taps[late].plus(found) if late in taps else found
        return Signal(arriving.shape, taps, arriving.constant)

    def network(self, steps: int) -> Network:
        """The whole."""
        pooling = self._read_out()
        taps = {
            target: [tap._replace(source=self._name(tap)) for tap in signal.taps]
            for target, signal in self.arriving.items()
        }
        latency = latencies(self.source.name, taps)
        ordered = sorted(self.stages, key=lambda name: latency[name])
        populations, projections = [], []
        for name in ordered:
            form = self._on_grid(name)
            cell = self.stages[name].cell
            cell = replace(cell, bias=cell.bias + form.constant)
            populations.append(Population(name, cell, latency[name]))
            projections += self._projections(name, form, latency)
        return Network(
            self.sender.timestep, steps, self.source, tuple(populations), tuple(projections),
            Readout(READOUT, pooling), _origin(self.sender.semantics.name, steps),
        )

    def _name(self, tap: Tap) -> str:
        return self.names.get(tap.source, tap.source)

    def _read_out(self) -> str:
        """The readout: spikes are counted, membranes are read at the end; its pooling."""
        signal = self.reader.signal(self.reader.wiring.output)
        graded = any(tap.graded for tap in signal.taps)
        if any(tap.graded and tap.lag for tap in signal.taps):
            raise InterchangeError("the output is a membrane of earlier steps; read it at once.")
        pooling = "last" if graded else "mean"
        cell = POOLINGS[pooling].accumulator(np.zeros(signal.size))
        self.stages[READOUT], self.arriving[READOUT] = Stage(cell), signal
        return pooling

    def _on_grid(self, name: str) -> Signal:
        """What arrives, its weights such that sums of spikes are exact in any order."""
        signal = self.arriving[name]
        exact = {tap: m for tap, m in signal.taps.items() if not tap.graded}
        form = on_grid(
            Affine(
                {GridTap(self._name(tap), tap.lag): m.values for tap, m in exact.items()},
                signal.constant, {n: s.cell.levels for n, s in self.stages.items()},
            ),
            self.source,
        )
        taps = dict(signal.taps) | {
            tap: Map(form.matrices[GridTap(self._name(tap), tap.lag)], m.joins)
            for tap, m in exact.items()
        }
        return Signal(signal.shape, taps, form.constant)

    def _projections(
        self, target: str, signal: Signal, latency: Mapping[str, int]
    ) -> list[Projection]:
        found = []
        for tap, matrix in signal.taps.items():
            source = self._name(tap)
            whole = tap.graded or (source == self.source.name and self.source.kind.currents)
            if whole and tap.lag:
                raise InterchangeError(
                    f"node {target!r}: a value of {source!r} arrives {tap.lag} steps later; "
                    "expected spikes, since nothing else can be sent later. Import with --input "
                    "spikes, or leave the Delay out."
                )
            if not matrix.joins.any():
                continue
            mask = None if whole else np.ascontiguousarray(matrix.joins.T)
            weights: FloatArray = matrix.values.T
            delay = tap.lag + latency[target] - latency.get(source, 0)
            found.append(Projection(source, target, weights, delay, graded=tap.graded, mask=mask))
        return found
