"""What the trained network does, as arrays: the reference that every backend is compared with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import SPIKING, ModelConfig
from snn_ssm.levels import levels
from snn_ssm.model.block import Block
from snn_ssm.model.pooling import ends
from snn_ssm.model.restore import load_network
from snn_ssm.model.sequence import ModelError


class Reference(NamedTuple):
    """What each layer does, (B, L, H), and the logits (B, classes), or (B, L, classes).

    ``running`` (B, L, classes): the scores at each step, of which those of a sample are the last
    ones; None of a pair, which has none before its end.

    ``spikes``: where a layer's output is above 0; of integer spikes how many, uint8; of a ternary
    layer its positive spikes, where y is above its level. ``negative``: a ternary layer's negative
    spikes, where -y is, which a second population, of membrane -y, emits; None for a layer whose
    spikes have no sign.
    ``membranes``: y; of LIF neurons before the reset; with a norm on the membrane ``w y / sigma``,
    what is left of it without its constant, which is in the population's thresholds.
    """

    spikes: list[NDArray[np.bool_] | NDArray[np.uint8]]
    negative: list[NDArray[np.bool_] | None]
    membranes: list[NDArray[np.float64]]
    logits: NDArray[np.float64]
    running: NDArray[np.float64] | None


def _time_major(x: Tensor) -> NDArray[Any]:
    return x.transpose(1, 2).numpy()  # (B, L, H)


def _levels(checkpoint: Checkpoint) -> list[Tensor] | None:
    """What membranes must exceed, (H,) a layer; None for a model that has no spiking form."""
    model = checkpoint.config.model
    if model.norm == "layer" or model.activation not in SPIKING:
        return None
    return [torch.from_numpy(level.value) for level in levels(checkpoint)]


def _without_constant(y: Tensor, block: Block) -> Tensor:
    """A membrane (B, H, L) less the constant that its norm adds."""
    norm = block.membrane_norm
    if norm is None:
        return y.double()
    mean, var, bias = (x.double() for x in (norm.running_mean, norm.running_var, norm.bias))
    constant = bias - mean * norm.weight.double() / torch.sqrt(var + norm.eps)  # (H,)
    return y.double() - constant[:, None]


def _scores(
    running: Tensor, model: ModelConfig, lengths: Tensor | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """The logits, and the scores of each step where there are any."""
    if model.pair:
        return running.numpy(), None
    return (running if model.each_step else ends(running, lengths)).numpy(), running.numpy()


@torch.no_grad()
def run_reference(
    checkpoint: Checkpoint, samples: NDArray[Any], *, method: str = "steps",
    lengths: NDArray[np.int64] | None = None,
) -> Reference:
    """The trained network on ``samples`` (B, C, L), of ``lengths`` (B,) steps each (None: L).

    ``steps``: the recurrence, one step at a time in float64 (E2's side of the contract), of the
    model as it was trained, nothing folded; a membrane spikes above its level
    (:mod:`snn_ssm.levels`), which is clear of ties. ``convolution``: the float32 convolution (LIF:
    steps, too) that training used, and its thresholds (E5's).
    Raises ``ModelError`` for a transformer, which has neither spikes nor steps.
    """
    model = checkpoint.config.model
    if model.architecture == "transformer":
        raise ModelError(
            "a transformer has no layers of neurons to refer to: it sees a sequence at once. "
            "Train with model.architecture = \"state-space\"."
        )
    network = load_network(checkpoint)
    p = torch.from_numpy(np.array(samples))  # a copy: torch wants to own a writable array
    if method == "steps":
        network.each_step = not model.pair
        out = network.double().steps(p, _levels(checkpoint))
        running = out.logits
    else:  # whole samples as training pools them
        network.prefixes = 0 if model.pair or model.each_step else p.shape[-1]
        out = network(p)
        early = out.beginnings
        running = out.logits if early is None else torch.cat([early, out.logits[:, None]], dim=1)
    n = None if lengths is None else torch.from_numpy(np.array(lengths))
    signed = model.activation.startswith("ternary")
    several = model.activation == "integer" and model.spike_levels > 1
    blocks: list[Block] = list(network.blocks)
    return Reference(
        [_time_major(s.to(torch.uint8) if several else s > 0) for s in out.outputs],
        [_time_major(s < 0) if signed else None for s in out.outputs],
        [
            _time_major(_without_constant(y, block))
            for y, block in zip(out.membranes, blocks, strict=True)
        ],
        *_scores(running.double(), model, n),
    )
