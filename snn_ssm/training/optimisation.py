"""What a training step minimises and how far it goes: loss, spike-rate penalty, rates, groups."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pynn_models.errors import SnnSsmError
from snn_ssm.config import SPIKES, ModelConfig, TrainingConfig
from snn_ssm.model.pooling import kept

MODE_PARAMETERS = ("a", "omega", "log_dt", "b")
_UNDECAYED = (
    "bias", "d", "log_threshold", "position", "theta", "history", "r", "recurrent_bias",
    "threshold_logit",
)  # fmt: skip
_UNSIGNED = ("heaviside", "integer", "bernoulli")


class PenaltyError(SnnSsmError):
    """A spike-rate penalty for a model without spikes."""


def rate_factor(step: int, total: int, warmup: float) -> float:
    """Warm-up and cosine decay, w = warmup total: the share of the peak rate at a step.

    ``(step+1)/(w+1)`` for step < w, then ``(1 + cos(pi (step-w)/(total-w)))/2``.
    """
    ramp = warmup * total
    if step < ramp:
        return (step + 1) / (ramp + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1.0, total - ramp)))


def parameter_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Three groups: modes (smaller rate, no decay); norms, biases, delays, thresholds and what
    moves them or is taken by spikes (no decay); the rest.

    Each group carries its peak rate as ``peak``.
    """
    modes, plain, decayed = [], [], []
    for name, parameter in network.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        if ".ssm." in name and leaf in MODE_PARAMETERS:
            modes.append(parameter)
        elif "norm." in name or leaf in _UNDECAYED:
            plain.append(parameter)
        else:
            decayed.append(parameter)
    return [
        {"params": modes, "peak": config.mode_rate, "weight_decay": 0.0},
        {"params": plain, "peak": config.rate, "weight_decay": 0.0},
        {"params": decayed, "peak": config.rate, "weight_decay": config.weight_decay},
    ]


def check_penalty(model: ModelConfig, training: TrainingConfig) -> None:
    """Raise :class:`PenaltyError` where spikes are penalised and the model has none."""
    if training.rate_penalty and (
        model.architecture == "transformer" or model.activation not in SPIKES
    ):
        found = (
            "architecture 'transformer'"
            if model.architecture == "transformer"
            else f"activation {model.activation!r}"
        )
        raise PenaltyError(
            f"[training.rate_penalty] is {training.rate_penalty}, but a model with {found} has no "
            f"spikes. Set it to 0, or train one of the activations {', '.join(SPIKES)}."
        )


def _messages(s: Tensor, model: ModelConfig) -> Tensor:
    """What neurons of the outputs s (B, H, L) send: s, or what it is more than the step before."""
    return torch.diff(s, prepend=torch.zeros_like(s[..., :1])) if _sends_differences(model) else s


def _sends_differences(model: ModelConfig) -> bool:
    return model.messages == "differences"


def spike_rates(
    outputs: list[Tensor], model: ModelConfig, lengths: Tensor | None = None
) -> Tensor:
    """``r_l = mean(s_l)``, for ternary spikes ``mean(|s_l|)``: one rate a layer, differentiable.

    Integer spikes count as often as they are sent: as differences, ``mean(|s_l[k] - s_l[k-1]|)``.
    A binary spike is not sent through the modulus, whose gradient at 0 is 0: a neuron just below
    its threshold is to move away from it, too. Of spikes that carry values the mean is of
    these. Of samples of ``lengths`` (B,) it is the mean over samples of each one's own steps.
    Shapes: (B, H, L) each -> (depth,).
    """
    unsigned = model.activation in _UNSIGNED and not _sends_differences(model)
    sent_by = (_messages(s, model) for s in outputs)
    spikes = (s if unsigned else s.abs() for s in sent_by)
    if lengths is None:
        return torch.stack([s.mean() for s in spikes])
    return torch.stack([_of_samples(s, lengths).mean() for s in spikes])


def summed_rates(
    outputs: list[Tensor], model: ModelConfig, samples: int, lengths: Tensor | None = None
) -> list[Tensor]:
    """The sum over ``samples`` of what each one's neurons and steps :func:`sent` on average, a
    layer each, (), float64; ``lengths`` as in :func:`spike_rates`."""
    found = [sent(s, model) for s in outputs]
    if lengths is None:
        return [s.sum(dtype=torch.float64) * (samples / s.numel()) for s in found]
    return [_of_samples(s.double(), lengths).sum() for s in found]


def _of_samples(s: Tensor, lengths: Tensor) -> Tensor:
    """The mean over the steps of each sample that are its own: (B, H, L), (B,) -> (B,)."""
    own = s * kept(lengths, s.shape[-1])[:, None]
    return own.sum((1, 2)) / (lengths * s.shape[1])


def sent(s: Tensor, model: ModelConfig) -> Tensor:
    """How many spikes are sent of each output, (B, H, L); of outputs that are none, and of spikes
    that carry a value, whether it is not 0."""
    counts = model.activation in SPIKES and not model.sends_values
    return _messages(s.detach(), model).abs() if counts else s.ne(0)


def rate_penalty(rates: Tensor, target: float) -> Tensor:
    """``mean_l max(0, r_l - target)^2``: what ``training.rate_penalty`` multiplies; (depth,) -> ().
    """
    return (rates - target).clamp(min=0).square().mean()
