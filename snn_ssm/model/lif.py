"""The layer of the baseline: leaky integrate-and-fire neurons with a learned decay and a reset."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.levels import LEAKY_THRESHOLD
from snn_ssm.model import modes, operators, reset
from snn_ssm.model.layers import Layer
from snn_ssm.model.reset import Neurons, Resetting

THRESHOLD = LEAKY_THRESHOLD  # of every neuron: norm and weights scale the input to it


class _LeakyReset(torch.autograd.Function):
    """The recurrence over a whole input, time first: (L, B, H), (H,) -> (L, B, H).

    Backward it is linear, because the reset is constant: with ``r[k] = beta (1 - s[k])``,
    ``du[k] = dv[k] + r[k] du[k+1]``, one operation a step. ``instant``: ``du[k] = dv[k]``.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, beta: Tensor, instant: bool) -> Tensor:
        v = torch.empty_like(u)  # (L, B, H)
        state = torch.zeros_like(u[0])  # (B, H)
        for k in range(len(u)):
            torch.mul(state, beta, out=v[k]).add_(u[k])
            state = v[k].masked_fill(v[k] > THRESHOLD, 0.0)
        ctx.save_for_backward(v, beta)
        ctx.instant = instant
        return v

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        v, beta = ctx.saved_tensors
        silent = v <= THRESHOLD  # (L, B, H)
        grad_u = grad
        if not ctx.instant:
            carried = beta * silent  # (L, B, H)
            grad_u = torch.empty_like(v)
            grad_u[-1] = grad[-1]
            for k in range(len(v) - 2, -1, -1):
                torch.addcmul(grad[k], carried[k], grad_u[k + 1], out=grad_u[k])
        grad_beta = (grad_u[1:] * v[:-1] * silent[:-1]).sum((0, 1))  # (H,)
        return grad_u, grad_beta, None


class OfSteps(torch.autograd.Function):
    """The identity, (B, H, L); backward the gradients of some steps only, 0 at the others."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, steps: Tensor) -> Tensor:
        ctx.steps = steps
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        kept = torch.zeros(grad.shape[-1], dtype=grad.dtype, device=grad.device)
        kept[ctx.steps.to(grad.device)] = 1
        return grad * kept, None


def leaky(beta: Tensor) -> Neurons:
    """Leaky neurons of the family: one real mode of decay ``beta`` (H,), a hard reset."""
    one = torch.ones_like(beta)
    return Neurons(beta[:, None], one[:, None], torch.zeros_like(beta), THRESHOLD * one, None)


class LeakyRecurrence(NamedTuple):
    """``v[k] = beta x[k-1] + u[k]``, ``x[k] = 0 if v[k] > level else v[k]``.

    In the dtype of ``beta`` (H,); ``level`` (H,), or one for all. States x are (B, H), membranes
    after the reset. A scan is training's, whose level is 1; ``instant``: without gradients from a
    step to the one before.
    """

    beta: Tensor
    level: Tensor | float = THRESHOLD
    instant: bool = False

    def initial(self, u: Tensor) -> Tensor:
        return torch.zeros_like(u[..., 0])  # (B, H)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        v = x * self.beta + u  # (B, H)
        return v.masked_fill(v > self.level, 0.0), v

    def scan(self, u: Tensor) -> Tensor:
        """By the compiled loop where there is one: equal to the bit."""
        if operators.usable(u, "loops"):
            how = Resetting(through=False, instant=self.instant)
            return reset.run(u, leaky(self.beta), how)[0]
        time_first = u.permute(2, 0, 1).contiguous()  # (L, B, H)
        return _LeakyReset.apply(time_first, self.beta, self.instant).permute(1, 2, 0)  # (B, H, L)


class LifLayer(Layer):
    """``v[k] = beta v[k-1] (1 - s[k-1]) + u[k]``, ``s = 1 if v > 1 else 0``, beta = exp(-exp(a)).

    The layer's result is v, before the reset; the spike function, whose surrogate gradient training
    uses, comes after it. The reset, s in the equation above, counts as constant in the gradient.
    The one parameter is ``a`` (H,), the log of one step over the time constant; the time constants
    start log-uniform in 1/dt_max to 1/dt_min steps. A reset allows no convolution: the steps follow
    one another, in the model's precision. ``through_time`` and ``gradient_steps``, indices of
    steps, are set by training (:func:`snn_ssm.training.methods.cut_time`). Source: Fang et al.
    2021, *Incorporating Learnable Membrane Time Constant*; Zenke & Vogels 2021 (no gradient through
    the reset).
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        rate = modes.init_log_dt(config.channels, config.dt_min, config.dt_max, generator)
        self.a = nn.Parameter(rate.float())
        self.through_time = True
        self.gradient_steps: Tensor | None = None  # all

    def beta(self) -> Tensor:
        """The decay a step, (H,), computed in float64."""
        return torch.exp(-torch.exp(self.a.double())).to(self.a.dtype)

    def neurons(self) -> Neurons:
        return leaky(self.beta())

    def recurrence(
        self, level: Tensor | None = None, history: Tensor | None = None
    ) -> LeakyRecurrence:
        instant = not self.through_time
        return LeakyRecurrence(self.beta(), THRESHOLD if level is None else level, instant)

    def forward(self, u: Tensor) -> Tensor:
        """The membrane of ``u``, (B, H, L) -> (B, H, L)."""
        y = self.recurrence().scan(u)
        return y if self.gradient_steps is None else OfSteps.apply(y, self.gradient_steps)
