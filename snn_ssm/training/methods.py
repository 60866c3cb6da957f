"""Training methods that change what a step does: pruning, noise, and gradients cut in time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from snn_ssm.config import TaskConfig, TrainingConfig
from snn_ssm.model.block import Block
from snn_ssm.model.delays import Delays, width_at
from snn_ssm.model.egru import EgruLayer
from snn_ssm.model.lif import LifLayer
from snn_ssm.model.resetting import ResettingLayer
from snn_ssm.model.restore import StartError
from snn_ssm.model.sequence import SequenceModel

_PRUNED_BY = 0.5  # share of all steps after which the target sparsity is reached and held
_SETTLED_BY = 0.5  # the same of the delays' width
_NOISE_DECAY = 0.275  # of the standard deviation: half of the variance's 0.55
_MATRICES = ("weight", "gate_weight")


def matrices(network: nn.Module) -> Iterator[nn.Parameter]:
    """The mixings' matrices, which become synapses."""
    for name, parameter in network.named_parameters():
        parent, _, leaf = name.rpartition(".")
        if parent.endswith(".mixing") and leaf in _MATRICES:
            yield parameter


def sparsity_at(target: float, step: int, total: int) -> float:
    """``S (1 - (1 - t/T)^3)``, T half of all steps, then S = ``target``: the share of zeros.

    Source: Zhu & Gupta 2017, *To prune, or not to prune*, section 3.
    """
    left = 1 - min(1.0, step / max(1.0, _PRUNED_BY * total))
    return target * (1 - left**3)


@torch.no_grad()
def prune(network: nn.Module, sparsity: float) -> None:
    """Set that share of each mixing matrix to 0, the entries of smallest magnitude."""
    for weight in matrices(network):
        count = round(sparsity * weight.numel())
        if count:
            smallest = weight.abs().flatten().topk(count, largest=False).indices
            weight.view(-1)[smallest] = 0.0


@torch.no_grad()
def add_noise(network: nn.Module, deviation: float, seed: int, step: int) -> None:
    """Add ``N(0, s^2)``, ``s = deviation (1 + step)^-0.275``, to every gradient.

    The same numbers in every process and in a resumed run. Source: Neelakantan et al. 2015,
    *Adding Gradient Noise Improves Learning for Very Deep Networks*.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    scale = deviation * (1 + step) ** -_NOISE_DECAY
    for parameter in network.parameters():
        if parameter.grad is not None:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.grad += scale * noise.to(parameter.grad)


def cut_time(network: SequenceModel, training: TrainingConfig, length: int) -> None:
    """Have cells with a reset, and recurrent layers, take their gradients as configured.

    ``through_time = false``: a step's gradient does not go to the step before (SLTT).
    ``gradient_steps`` K: only K steps, drawn anew for each batch, have one (SLTT-K).
    ``through_reset = false``: a spike's gradient does not go through its reset.
    Source: Meng et al. 2023, *Towards Memory- and Time-Efficient Backpropagation for Training
    Spiking Neural Networks*.
    """
    length //= 2 if network.config.pair else 1
    count = min(training.gradient_steps, length)
    drawn = torch.randperm(length)[:count] if count else None
    for module in network.modules():
        if isinstance(module, LifLayer | EgruLayer | Block):
            module.through_time = training.through_time
            module.gradient_steps = drawn
        if isinstance(module, ResettingLayer | EgruLayer):
            module.through_reset = training.through_reset


def narrow(network: nn.Module, step: int, total: int) -> None:
    """Set the width of learned delays: :func:`width_at` of the first half of training."""
    for module in network.modules():
        if isinstance(module, Delays):
            module.width = width_at(module.largest, step / max(1.0, _SETTLED_BY * total))


@torch.no_grad()
def restride(network: nn.Module, before: TaskConfig, after: TaskConfig) -> None:
    """Make the model of samples read at one stride that of another: steps last longer.

    ``log_dt += log(after / before)``, and of cells without one, whose ``a`` is the log of a step
    over the time constant, a likewise. Norms settle anew in training. Raises :class:`StartError`
    at another stride where there is neither, as in gated units, whose gates say how long they last.
    """
    shift = math.log(after.stride / before.stride)
    names: dict[str, Tensor] = dict(network.named_parameters())
    steps = []
    for name, parameter in names.items():
        parent, _, leaf = name.rpartition(".")
        own = f"{parent}.log_dt" if f"{parent}.log_dt" in names else f"{parent}.a"
        if parent.endswith(".ssm") and f"{parent}.{leaf}" == own:
            steps.append(parameter)
    if shift and not steps:
        raise StartError(
            f"cannot start from a model of task.stride = {before.stride} at {after.stride}: it has "
            "no time constants to go with the stride. Start at the same stride, or from random "
            "weights."
        )
    for parameter in steps:
        parameter += shift
