"""Checkpoint -> Network: fold the norms, schedule the delays, choose the cells.

In evaluation a batch norm is an affine map a channel, so with linear mixing the residual stream is
an affine function of the input and of every earlier layer's spikes,

    stream_l = E_l p + sum_{i<l} M_{l,i} s_i + beta_l,

which is kept as one matrix a source and a constant. The input of layer l, and the logits, are
affine maps of it: projections, and a constant current. With gated mixing (GLU, GSU) layer i adds a
product instead, which every later layer computes for itself in a branch of its input
(:mod:`export.lowering.stream`): the stream is folded, into a number of synapses that grows as the
square of that of layers. Since the decoder is linear in the stream and not in the spikes, a
population of H silent neurons then gathers the stream, and sends it to the readout as it is. A
stream that is relayed has such a population behind every layer, which each computes its layer's
product, adds what the one before it sent, and sends the sum on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from export.description.network import (
    FloatArray,
    Network,
    Population,
    Projection,
    Readout,
)
from export.description.quantisation import Quantiser
from export.description.readouts import POOLINGS
from export.lowering.affine import Affine, Tap, on_grid, projections
from export.lowering.cells import CELLS, Lowered, Setting, populations
from export.lowering.cells.memoryless import memoryless
from export.lowering.errors import LoweringError
from export.lowering.layer import Arrays, Layer, dense
from export.lowering.lowerable import INPUT, check_lowers, input_source
from export.lowering.mixing import MIXINGS
from export.lowering.mixing.weights import recurrent
from export.lowering.quantised import in_integers
from export.lowering.stream import Stream
from pynn_models.cells import EgruCell, LeakyCell, StateSpaceCell
from snn_ssm.checkpoint import Checkpoint, check_arrays
from snn_ssm.config import ModelConfig, to_dict
from snn_ssm.files import packed_parts, sha256
from snn_ssm.levels import levels
from snn_ssm.tasks import class_names

STREAM = "stream"
READOUT = "readout"


@dataclass
class _Parts:
    """The populations and projections so far; ``latency``: of every population, 0 of the input."""

    latency: Mapping[str, int]
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)

    def add(
        self, name: str, cell: StateSpaceCell | LeakyCell | EgruCell, before: Stream,
        others: Mapping[str, Stream] | None = None,
    ) -> None:
        """A population, and all that it receives, at its input and at receptors of its own."""
        self.populations.append(Population(name, cell, self.latency[name]))
        self.projections += before.projections(name, self.latency)
        for receptor, stream in (others or {}).items():
            self.projections += projections(stream.affine, name, self.latency, receptor)


def _relay(layer: Layer) -> str:
    """The name of the population behind a layer that sends the stream on."""
    return f"{STREAM}{layer.index}"


def _latencies(
    layers: Sequence[Layer], gated: bool, delay: int, relayed: bool = False
) -> dict[str, int]:
    """Steps behind the input: a delay for each layer, the stream where it is gathered or relayed,
    and the readout, in the order of what follows on what."""
    names = [name for x in layers for name in (x.name, *([_relay(x)] if relayed else []))]
    if relayed:
        names[-1:] = []  # what gathers for the readout is behind the last
    chain = [*names, *([STREAM] if gated else []), READOUT]
    latency = {INPUT: 0} | {name: (i + 1) * delay for i, name in enumerate(chain)}
    for layer in layers:
        latency |= dict.fromkeys(populations(layer.name, layer.model), latency[layer.name])
    return latency


def _encoded(arrays: Arrays, model: ModelConfig) -> Stream:
    """The stream before the first layer: one coefficient a channel, or a symbol."""
    weight, bias = dense(arrays, "encoder", model.channels)
    matrix = weight.T if model.encoder == "embedding" else weight * model.input_scale  # (H, C)
    return Stream(Affine({Tap(INPUT): matrix}, bias))


def _layers(checkpoint: Checkpoint) -> list[Layer]:
    model, arrays = checkpoint.config.model, checkpoint.arrays
    check_arrays(arrays, model, "checkpoint")
    return [Layer(arrays, model, i, level) for i, level in enumerate(levels(checkpoint))]


def _lowered(
    layers: Sequence[Layer], stream: Stream, setting: Setting, take: Callable[[Lowered], None],
    relay: Callable[[str, Stream], Stream] | None = None,
) -> Stream:
    """Hand every layer's populations to ``take``; the stream behind the last one.

    One after another: what a layer receives is a matrix for each one before it, unless ``relay``
    makes a population of the stream between two layers, given its name.
    """
    for layer in layers:
        if relay is not None and layer.index > 0:
            stream = relay(_relay(layers[layer.index - 1]), stream)
        looped = replace(layer, own=recurrent(layer)) if layer.model.recurrent else layer
        take(CELLS[layer.model.cells](looped, stream, setting))
        stream = layer.after(stream.plus(MIXINGS[layer.model.mixing](layer)))
    return stream


def _gather(parts: _Parts, name: str, stream: Stream, setting: Setting) -> Stream:
    """The stream as it is once a population has gathered it: what that one sends, graded."""
    stream = stream.on_grid(setting.source)
    parts.add(name, memoryless(stream.affine.constant, stream.cell_branches()), stream)
    size = len(stream.affine.constant)
    return Stream(Affine({Tap(name): np.eye(size)}, np.zeros(size), values=frozenset({name})))


def _add_readout(
    parts: _Parts, stream: Stream, arrays: Arrays, model: ModelConfig, setting: Setting, steps: int
) -> None:
    """The accumulators of the logits; before them, where the stream is gated, what gathers it."""
    weight, bias = dense(arrays, "decoder", model.classes)
    source, timestep = setting.source, setting.timestep
    pooling = POOLINGS[model.pooling]
    tau = np.exp(arrays["pooling.log_tau"].astype(np.float64)) if pooling.learned else None
    if stream.branches:
        logits = _gather(parts, STREAM, stream, setting).affine.mapped(weight, bias)
    else:
        logits = on_grid(stream.affine.mapped(weight, bias), source, float(pooling.terms(steps)))
    cell = pooling.accumulator(
        logits.constant, None if tau is None else tau * timestep, timestep
    )
    parts.populations.append(Population(READOUT, cell, parts.latency[READOUT]))
    parts.projections += projections(logits, READOUT, parts.latency)


def lower(
    checkpoint: Checkpoint,
    *,
    cells: str | None = None,
    encoding: str | None = None,
    timestep: float = 1.0,
    delay: int = 1,
    messages: str | None = None,
    residual: str = "folded",
    quantiser: Quantiser | None = None,
) -> Network:
    """The network of a checkpoint::

        u_l = E_l p + sum_{i<l} M_{l,i} s_i + beta_l                          linear mixing
              + R_l s_l[k - 1]                                                if recurrent
        u_l = E_l p + sum_{i<l} scale_{l,i} v_i sigmoid(g_i) + beta_l         GLU
        u_l = E_l p + sum_{i<l} scale_{l,i} GELU(n_i v_i g_i + t_i) + beta_l  GSU

        u_l = scale_l x_l + beta_l,   x_{l+1} = x_l + o_l     if relayed: x_l by a population each,
                                                              o_l: GLU's or GSU's of layer l

    with v_i and g_i as :mod:`export.lowering.mixing` has them. With cells of several receptors
    (``egru``) each receives such a u_l of its own, and s is the value that a spike carries.

    ``cells``: ``native``, ``stock``, ``lif`` or ``egru`` (None: what the model was trained for);
    models of ``stock`` and ``lif`` cells can be native, too. ``encoding``: ``bits``, ``current``,
    ``token`` or ``spikes`` (None: ``token`` for an embedding, else ``bits``, for real values
    ``current``); ``timestep`` in ms; ``delay``: steps a layer (the simulator's minimum);
    ``messages``: of integer spikes, ``counts`` or ``differences`` (None: what the model was trained
    for); ``residual``: the stream is ``folded`` into the layers or, with gated mixing, ``relayed``
    by a population behind each, which sends real values; then synapses grow as the number of
    layers, not as its square. Layer l has latency (l + 1) delay, relayed (2 l + 1) delay. A layer
    of ternary spikes is two populations: the second, ``..._negative``, spikes where the membrane is
    below minus the threshold. One of integer spikes sends up to D of them at a step, as
    multiplicity, or by how many more they are. A learned delay is the lag of its synapses; of what
    is recurrent, one step is added.
    Raises :class:`LoweringError` for a model that does not lower, ``NetworkError`` for an
    impossible timestep or encoding, ``CheckpointError`` for arrays that do not fit.
    Source: arXiv 2401.00955, section 2, with the batch norms folded.
    """
    trained = checkpoint
    check_lowers(trained.config.model, cells, messages, residual)
    source = input_source(trained.config.model, encoding, quantiser)
    checkpoint = in_integers(trained, source)
    model, arrays = checkpoint.config.model, checkpoint.arrays
    layers, timestep = _layers(checkpoint), _positive(timestep)
    task = checkpoint.config.task
    steps = task.steps
    setting = Setting(source, timestep, cells or model.cells, messages or model.messages)
    relayed = residual == "relayed"
    parts = _Parts(_latencies(layers, False, delay, relayed))  # those of layers, gated or not

    def take(one: Lowered) -> None:
        for name, cell in one.cells.items():
            parts.add(name, cell, one.before, one.others)

    def relay(name: str, stream: Stream) -> Stream:
        return _gather(parts, name, stream, setting)

    stream = _lowered(
        layers, _encoded(arrays, model), setting, take, relay if relayed else None
    )
    parts.latency = _latencies(layers, bool(stream.branches), delay, relayed)
    _add_readout(parts, stream, arrays, model, setting, steps)
    return Network(
        timestep=timestep,
        steps=steps,
        source=source,
        populations=tuple(parts.populations),
        projections=tuple(parts.projections),
        readout=Readout(READOUT, model.pooling, model.output, model.each_step),
        origin={
            "task": to_dict(task),
            "names": list(class_names(task, model.classes)),
            "parameters": _count(trained),
            "model_sha256": sha256(*packed_parts(trained.arrays)),
        },
        cells=cells or model.cells,
    )


def margins(checkpoint: Checkpoint, network: Network | None = None) -> dict[str, FloatArray]:
    """How far thresholds are above the trained ones, (H,) by the name of a population.

    In the units of its membranes: what is at a trained threshold but for rounding, is within this
    of it (:mod:`snn_ssm.levels`). ``network``: the one lowered, whose input may be quantised.
    Raises as :func:`lower`.
    """
    check_lowers(checkpoint.config.model, None)
    if network is not None:
        checkpoint = in_integers(checkpoint, network.source)
    model = checkpoint.config.model
    setting = Setting(input_source(model, None), 1.0, model.cells)
    found: dict[str, FloatArray] = {}

    def take(one: Lowered) -> None:
        found.update(dict.fromkeys(one.cells, one.margin))

    _lowered(_layers(checkpoint), _encoded(checkpoint.arrays, model), setting, take)
    return found


def _positive(timestep: float) -> float:
    if not (math.isfinite(timestep) and timestep > 0):
        raise LoweringError(
            f"timestep is {timestep} ms; expected a positive number. "
            "Give --timestep in milliseconds, for example 1.0."
        )
    return float(timestep)


def _count(checkpoint: Checkpoint) -> int:
    """Trained parameters: all arrays but a norm's running statistics."""
    return sum(
        array.size
        for name, array in checkpoint.arrays.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
