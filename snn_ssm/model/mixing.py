"""Feature mixing: what one layer's outputs contribute to the residual stream.

Every mixing takes the layer's membrane ``y`` and its output ``s`` and returns ``o``, all (B, H, L).
Weights are (to, from); weights and biases are drawn from U(-1/sqrt(H), 1/sqrt(H)). With
``weight_bits`` the matrix that multiplies s is rounded in use, not in the parameter.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.kinds import MIXINGS
from snn_ssm.model import operators
from snn_ssm.model.delays import Delays, delayed
from snn_ssm.model.layout import from_rows, rows
from snn_ssm.model.loading import load
from snn_ssm.model.norms import in_one_pass, make_norm
from snn_ssm.model.operators import elementwise
from snn_ssm.model.quantise import quantise_weights
from snn_ssm.model.spiking import ternary

_SHARE = 0.15  # of the largest magnitude: the threshold of a ternary matrix


def _uniform(channels: int, *shape: int) -> Tensor:
    bound = 1 / math.sqrt(channels)
    return torch.empty(shape).uniform_(-bound, bound)


class _Product(torch.autograd.Function):
    """``y = W x + b + o`` of rows x (H, M), compiled; backward ``dx = W^T dy``, ``dW = dy x^T``."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, x: Tensor, bias: Tensor | None, onto: Tensor | None
    ) -> Tensor:
        weight = weight.contiguous()
        ctx.save_for_backward(weight, x)
        return elementwise.mix(weight, x, bias, onto)

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        weight, x = ctx.saved_tensors
        of_weight, of_x, of_bias, of_onto = ctx.needs_input_grad
        grad = grad.contiguous()
        return (
            elementwise.mix_weight(grad, x) if of_weight else None,
            elementwise.mix(weight, grad, None, transposed=True) if of_x else None,
            grad.sum(1) if of_bias else None,
            grad if of_onto else None,
        )


def multiply(
    weight: Tensor, x: Tensor, bias: Tensor | None = None, onto: Tensor | None = None
) -> Tensor:
    """``o[b, :, t] = weight x[b, :, t] + bias + onto``: (H', H), (B, H, L), (H',) -> (B, H', L).

    One product for all samples, whose channels lie side by side. ``onto`` (B, H', L).
    """
    if x.shape[-1] > 1 and operators.usable(x) and not torch.is_autocast_enabled("cpu"):
        below = None if onto is None else rows(onto)
        return from_rows(_Product.apply(weight, rows(x), bias, below), x)
    o = from_rows(torch.mm(weight, rows(x)), x)
    if bias is not None:
        o = o + bias[:, None]
    return o if onto is None else onto + o


class _Gate(torch.autograd.Function):
    """``h + GELU(norm(v g))`` of rows (H, M), compiled; returns mean and variance (H,), too."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, eps: float, h: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        out, mean, var = elementwise.gate_forward(value, gate, weight, bias, eps, h)
        ctx.save_for_backward(value, gate, weight, bias, mean, var)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        return out, mean, var

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        grad = grad.contiguous()
        value, gate, weight, bias, mean, var = ctx.saved_tensors
        found = elementwise.gate_backward(grad, value, gate, weight, bias, ctx.eps, mean, var)
        return *found, None, grad


class LinearMixing(nn.Module):
    """``o[t] = W s[t] + b`` (with stock cells: ``W s[t]``).

    With ``delays`` ``o_h[t] = sum_j W_hj s_j[t - d_hj] + b_h``. ``weight`` (H, H), ``bias`` (H,).
    Source: Stan & Rhodes, arXiv 2401.00955, section 2, without its gate.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h = config.channels
        self.bits = config.weight_bits
        self.weight = nn.Parameter(_uniform(h, h, h))
        drawn = _uniform(h, h)
        self.bias = nn.Parameter(drawn) if config.cells != "stock" else None
        self.delays = Delays(config, config.delays) if config.delays else None

    def forward(self, y: Tensor, s: Tensor, before: Tensor | None = None) -> Tensor:
        """``before`` (B, H, delays): s of the steps before these; None: there was nothing."""
        weight = quantise_weights(self.weight, self.bits)
        if self.delays is None:
            return multiply(weight, s, self.bias)  # (B, H, L)
        o = delayed(weight, s, self.delays, before)
        return o if self.bias is None else o + self.bias[:, None]

    def onto(self, h: Tensor, y: Tensor, s: Tensor) -> Tensor:
        """``h + o`` in one pass, without delays."""
        return multiply(quantise_weights(self.weight, self.bits), s, self.bias, h)


class GluMixing(nn.Module):
    """``(v[t], g[t]) = W s[t] + b``, ``o[t] = v[t] sigmoid(g[t])``.

    ``weight`` (2H, H), ``bias`` (2H,): the values' rows, then the gates'. Source: Stan & Rhodes,
    arXiv 2401.00955, section 2 (Binary S4D); Dauphin et al. 2017.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h = config.channels
        self.bits = config.weight_bits
        self.weight = nn.Parameter(_uniform(h, 2 * h, h))
        self.bias = nn.Parameter(_uniform(h, 2 * h))

    def forward(self, y: Tensor, s: Tensor) -> Tensor:
        both = multiply(quantise_weights(self.weight, self.bits), s, self.bias)  # (B, 2H, L)
        return functional.glu(both, dim=1)  # (B, H, L)


class GsuMixing(nn.Module):
    """``o[t] = GELU(norm((W s[t] + b) * (T(G) y[t])))``, s = T(y) ternary spikes.

    ``T(G) = H(G - t) - H(-G - t)``, ``t = 0.15 max|G|``, with the spikes' surrogate gradient and t
    constant in it. G is ``gate_weight``, or, with ``gsu_weights = 1``, the one ``weight``; both
    (H, H), ``bias`` (H,). T(G) is of the parameter itself, whatever ``weight_bits``. The GELU is
    the exact one. Source: Stan & Rhodes, arXiv 2401.00955, section 2 (Gated Spiking Unit).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h = config.channels
        self.bits = config.weight_bits
        self.surrogate, self.slope = config.surrogate, config.surrogate_slope
        self.weight = nn.Parameter(_uniform(h, h, h))
        self.bias = nn.Parameter(_uniform(h, h))
        self.gate_weight = nn.Parameter(_uniform(h, h, h)) if config.gsu_weights == 2 else None
        self.norm = make_norm(config.gsu_norm, h)

    def gate_matrix(self) -> Tensor:
        """``T(G)``, entries -1, 0 and 1, (H, H); thresholds are compared in float64."""
        weight = self.weight if self.gate_weight is None else self.gate_weight
        exact = weight.double()
        threshold = _SHARE * exact.detach().abs().max()
        return ternary(exact, threshold, self.surrogate, self.slope).to(weight.dtype)

    def forward(self, y: Tensor, s: Tensor) -> Tensor:
        return self._gated(*self._factors(y, s))

    def onto(self, h: Tensor, y: Tensor, s: Tensor) -> Tensor:
        """``h + o`` in one pass."""
        value, gate = self._factors(y, s)
        norm = self.norm
        alike = h.dtype == value.dtype == gate.dtype  # not where products are in bfloat16
        if not (alike and in_one_pass(value, norm)):
            return h + self._gated(value, gate)
        of_norm = (norm.weight, norm.bias, norm.eps)
        out, mean, var = _Gate.apply(rows(value), rows(gate), *of_norm, rows(h))
        norm.follow(mean, var, h.shape[0] * h.shape[2])
        return from_rows(out, h)

    def _gated(self, value: Tensor, gate: Tensor) -> Tensor:
        return functional.gelu(self.norm(value * gate))

    def _factors(self, y: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """``W s + b`` and ``T(G) y``, (B, H, L) each."""
        value = multiply(quantise_weights(self.weight, self.bits), s, self.bias)
        return value, multiply(self.gate_matrix(), y)


def make_mixing(config: ModelConfig) -> nn.Module:
    """The mixing that ``config.mixing`` names."""
    made: nn.Module = load(MIXINGS[config.mixing].module)(config)
    return made
