"""What a trained model costs, named as NeuroBench names it. Imports no torch.

Synaptic operations are counted a sample, from how often the model's inputs and outputs were not 0.
Every product of a weight matrix and a signal is one :class:`Connection`:

- encoder: an operation a non-zero input and weight; a symbol is one spike of as many inputs as
  there are symbols;
- an event-based gated unit's own matrices: from its input, never 0, and from its outputs;
- mixing: likewise from a layer's outputs; the gate of a GSU, from its membranes, which count as
  never 0, through the non-zero entries of its ternary matrix;
- decoder: once a sample, from the pooled features, or at every step where each is answered or
  filtered;
- of a transformer all its matrices, at every step.

A signal of spikes, -1, 0 or 1, takes accumulations (ACs), any other, spikes that carry a value
included, multiplications and accumulations (MACs). Attention multiplies signals with each other:
MACs, though of no synapse. Norms, activations, gating channel by channel, residuals and pooling are
not counted. Nor are the neurons themselves synaptic operations: the multiplications of their states
are ``Mode_MACs``.

Source: Yik et al. 2025, the NeuroBench framework, its algorithm track's metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import SPIKES, ModelConfig
from snn_ssm.kinds import CELLS

_GATE_SHARE = 0.15  # of a matrix's largest magnitude: below it, its ternary form is 0
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Activity:
    """How often a model's signals came, over ``samples`` of ``steps`` steps each, or on average.

    ``inputs`` (C,): how often each input channel was not 0, or each symbol came; ``outputs``
    (depth, H): how many spikes each neuron sent, integer ones as often as they count (differences:
    by their size), or how often an output without spikes was not 0; (0, H) for a transformer.
    ``active`` (depth, H): how often something was sent, or an output was not 0; the outputs
    themselves where there are no integer spikes.
    """

    samples: int
    steps: float
    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]
    active: NDArray[np.int64]

    @property
    def rates(self) -> list[float]:
        """The spike rate of each layer: spikes a neuron and step."""
        return self._a_neuron_and_step(self.outputs)

    @property
    def shares(self) -> list[float]:
        """The share of each layer's outputs that are not 0."""
        return self._a_neuron_and_step(self.active)

    def _a_neuron_and_step(self, counts: NDArray[np.int64]) -> list[float]:
        neurons = self.samples * self.steps * counts.shape[1]
        return [float(count) / neurons for count in counts.sum(1)]


@dataclass(frozen=True)
class Connection:
    """One weight matrix in use: which weights are not 0, and how often its inputs are not.

    ``weights`` (to, from), bool; ``active`` (from,): how often a sample's input of each column is
    not 0; ``times``: how often a sample is multiplied; ``spikes``: whether the inputs are spikes.
    """

    weights: NDArray[np.bool_]
    active: NDArray[np.float64]
    times: float
    spikes: bool

    @property
    def dense(self) -> float:
        """The operations of a sample where nothing is skipped."""
        return self.weights.size * self.times

    @property
    def effective(self) -> float:
        """The operations of a sample with neither input nor weight 0."""
        return float(self.weights.sum(0) @ self.active)


def _mixing_weights(weight: NDArray[Any], bits: int) -> NDArray[np.bool_]:
    """Which weights of a mixing are not 0, after rounding to ``bits`` where that is not 0."""
    if bits == 0:
        return weight != 0
    exact = weight.astype(np.float64)
    scale = np.abs(exact).max() / (2 ** (bits - 1) - 1)
    return np.rint(exact / (scale or 1.0)) != 0


def _mixing(
    arrays: Mapping[str, NDArray[Any]], model: ModelConfig, layer: int, activity: Activity
) -> Iterator[Connection]:
    """What a layer's outputs go through: to the layers behind it, and to itself."""
    prefix, steps = f"blocks.{layer}.mixing", activity.steps
    weight = arrays[f"{prefix}.weight"]
    active = activity.outputs[layer] / activity.samples
    spikes = model.activation in SPIKES and not model.sends_values
    yield Connection(_mixing_weights(weight, model.weight_bits), active, steps, spikes)
    if model.recurrent:
        own = arrays[f"blocks.{layer}.recurrent.weight"]
        yield Connection(own != 0, active, steps, spikes)
    for name, recurrent in CELLS[model.cells].matrices.items():
        own = arrays[f"blocks.{layer}.ssm.{name}"]
        yield Connection(own != 0, active, steps, spikes) if recurrent else _always(own, steps)
    if model.mixing == "gsu":
        gate = np.abs(arrays.get(f"{prefix}.gate_weight", weight).astype(np.float64))
        membranes = np.full(model.channels, float(steps))
        yield Connection(gate > _GATE_SHARE * gate.max(), membranes, steps, False)


def _always(weight: NDArray[Any], times: float) -> Connection:
    """A matrix whose inputs are never 0."""
    return Connection(weight != 0, np.full(weight.shape[1], float(times)), times, False)


def connections(checkpoint: Checkpoint, activity: Activity) -> list[Connection]:
    """Every weight matrix of a model, with what the activity says of its inputs."""
    model, arrays, steps = checkpoint.config.model, checkpoint.arrays, activity.steps
    symbols = model.encoder == "embedding"
    encoder = arrays["encoder.weight"] != 0
    active = activity.inputs / activity.samples
    spikes = symbols or model.input_bits == 1
    found = [Connection(encoder.T if symbols else encoder, active, steps, spikes)]
    for layer in range(model.depth):
        if model.architecture == "transformer":
            prefix = f"blocks.{layer}"
            for name in ("attention.input", "attention.output",
                         "feedforward.hidden", "feedforward.output"):
                found.append(_always(arrays[f"{prefix}.{name}.weight"], steps))
        else:
            found.extend(_mixing(arrays, model, layer, activity))
    times = steps if model.each_step or model.pooling == "filter" else 1
    return [*found, _always(arrays["decoder.weight"], times)]


def attention_macs(model: ModelConfig, steps: float) -> float:
    """``2 L^2 H`` a layer: queries with keys, shares with values; each sequence of a pair alone."""
    if model.architecture != "transformer":
        return 0
    sequences = 2 if model.pair else 1
    return model.depth * sequences * 2 * (steps // sequences) ** 2 * model.channels


def mode_macs(model: ModelConfig, steps: float) -> float:
    """The multiplications of all neurons' states in a sample, run as a recurrence.

    A complex mode takes 4 for ``abar x`` and 2 for ``Re(g x)``, a real one 2, the feedthrough d 1 a
    neuron; a stock cell and a leaky neuron take 1, their decay, a gated unit 3. A bidirectional
    layer has its modes twice.
    """
    if model.architecture == "transformer":
        return 0
    neuron = CELLS[model.cells].state_macs
    if model.cells == "native":
        mode = 6 if model.complex_modes else 2
        neuron = mode * model.modes * (2 if model.bidirectional else 1) + 1
    return neuron * model.channels * model.depth * steps


def synaptic_operations(checkpoint: Checkpoint, activity: Activity) -> dict[str, float]:
    """``Effective_ACs``, ``Effective_MACs`` and ``Dense``: synaptic operations a sample."""
    found = connections(checkpoint, activity)
    attention = attention_macs(checkpoint.config.model, activity.steps)
    return {
        "Effective_ACs": sum(c.effective for c in found if c.spikes),
        "Effective_MACs": sum(c.effective for c in found if not c.spikes) + attention,
        "Dense": sum(c.dense for c in found) + attention,
    }


def connection_sparsity(found: Sequence[Connection]) -> float:
    """The share of the weights of all matrices in use that are 0."""
    return 1 - sum(int(c.weights.sum()) for c in found) / sum(c.weights.size for c in found)


def activation_sparsity(activity: Activity) -> float | None:
    """The share of steps of all layers in which nothing is sent, over all samples; None without.

    For spikes that are not integers it is 1 less the spike rate.
    """
    shares = activity.shares
    return 1 - sum(shares) / len(shares) if shares else None


def parameter_count(checkpoint: Checkpoint) -> int:
    """The numbers that training changes; statistics of batch norms are none."""
    return sum(
        array.size
        for name, array in checkpoint.arrays.items()
        if name.rsplit(".", 1)[-1] not in _BUFFERS
    )


def footprint(checkpoint: Checkpoint) -> int:
    """The bytes of all arrays: parameters and buffers, zero weights included.

    A mixing trained for ``weight_bits`` takes so many bits a weight and 4 bytes for their scale,
    and a GSU of one matrix two bits more, of T(G), which is not that of the rounded weights.
    """
    model = checkpoint.config.model
    bits = model.weight_bits
    if bits and model.mixing == "gsu" and model.gsu_weights == 1:
        bits += 2
    total = 0
    for name, array in checkpoint.arrays.items():
        if bits and name.endswith(".mixing.weight"):
            total += math.ceil(array.size * bits / 8) + 4
        else:
            total += array.nbytes
    return total


def measure(checkpoint: Checkpoint, activity: Activity) -> dict[str, Any]:
    """All metrics of a model by their names, for ``metrics.json`` and ``snn-ssm evaluate``."""
    model = checkpoint.config.model
    return {
        "spike_rates": activity.rates,
        "activation_sparsity": activation_sparsity(activity),
        "synaptic_operations": synaptic_operations(checkpoint, activity),
        "Mode_MACs": mode_macs(model, activity.steps),
        "parameters": parameter_count(checkpoint),
        "footprint": footprint(checkpoint),
        "connection_sparsity": connection_sparsity(connections(checkpoint, activity)),
    }
