"""Event-based gated recurrent units (EGRU): a GRU that is heard only above a threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.model import modes
from snn_ssm.model.layers import Layer
from snn_ssm.model.lif import OfSteps
from snn_ssm.model.spiking import derivative

_HEIGHT = 0.7  # of the surrogate at the threshold
_FIRST_THRESHOLD = 0.3  # the mean of what thresholds start from
_SPREAD = 3.0  # of a beta distribution: its second parameter

Surrogate = Callable[[Tensor], Tensor]


class _Events(torch.autograd.Function):
    """``y = v H(v - theta)``, (..., H), (H,); backward with the surrogate D of H's derivative::

        dy/dv = H + v D,   dy/dtheta = -v D
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor, theta: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(v, theta)
        ctx.surrogate = surrogate
        return torch.where(v > theta, v, torch.zeros_like(v))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        v, theta = ctx.saved_tensors
        slope = v * ctx.surrogate(v - theta)
        return grad * ((v > theta) + slope), -(grad * slope).flatten(0, -2).sum(0), None


class _Loop(torch.autograd.Function):
    """The recurrence over a whole input, time first: v (L, B, H) of x (L, B, 3 H).

    Backward the exact gradient through time, D in place of H's derivative::

        dv[k] = given + dh[k] (1 - theta D) + dy[k] (H + v D)
        dz = dv (h[k-1] - g) z (1 - z),  dg = dv (1 - z) (1 - g^2),  dr = dg q r (1 - r),  dq = dg r
        dy[k-1] = R^T (dz, dr, dq),   dh[k-1] = dv z

    ``through``: whether the reset of h has a gradient; ``instant``: none goes to the step before.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, theta: Tensor, surrogate: Surrogate,
        through: bool, instant: bool,
    ) -> Tensor:  # fmt: skip
        size = x.shape[-1] // 3
        v = x.new_empty(*x.shape[:2], size)
        z, r, q, g = (torch.empty_like(v) for _ in range(4))
        h, y = torch.zeros_like(v[0]), torch.zeros_like(v[0])  # (B, H)
        for k in range(len(x)):
            own = functional.linear(y, weight)  # (B, 3 H)
            both = torch.sigmoid(x[k, :, : 2 * size] + own[:, : 2 * size])
            z[k], r[k] = both[:, :size], both[:, size:]
            torch.add(own[:, 2 * size :], bias, out=q[k])
            torch.tanh(x[k, :, 2 * size :] + r[k] * q[k], out=g[k])
            torch.add(z[k] * h, (1 - z[k]) * g[k], out=v[k])
            fired = v[k] > theta
            y, h = v[k] * fired, v[k] - theta * fired
        ctx.save_for_backward(v, z, r, q, g, weight, theta)
        ctx.surrogate, ctx.through, ctx.instant = surrogate, through, instant
        return v

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        v, z, r, q, g, weight, theta = ctx.saved_tensors
        grad, size, fired = grad.contiguous(), v.shape[-1], v > theta  # else strided by step
        slope = ctx.surrogate(v - theta)
        of_h = 1 - theta * slope if ctx.through else torch.ones_like(v)
        of_y = fired + v * slope
        before = functional.pad((v - theta * fired)[:-1], (0, 0, 0, 0, 1, 0))  # h[k-1]
        of_z, of_g, of_r = (before - g) * z * (1 - z), (1 - z) * (1 - g * g), q * r * (1 - r)
        grads = v.new_empty(*v.shape[:2], 3 * size)  # of z, r and q, before their functions
        candidate = torch.empty_like(v)  # of g likewise
        theta_h = (theta * slope if ctx.through else 0) - fired.to(v.dtype)
        theta_y, grad_theta = -v * slope, torch.zeros_like(theta)
        dh = dy = torch.zeros_like(v[0])
        for k in range(len(v) - 1, -1, -1):
            dv = torch.addcmul(torch.addcmul(grad[k], dh, of_h[k]), dy, of_y[k])
            grad_theta += (dh * theta_h[k] + dy * theta_y[k]).sum(0)
            torch.mul(dv, of_z[k], out=grads[k, :, :size])
            torch.mul(dv, of_g[k], out=candidate[k])
            torch.mul(candidate[k], of_r[k], out=grads[k, :, size : 2 * size])
            torch.mul(candidate[k], r[k], out=grads[k, :, 2 * size :])
            if not ctx.instant:
                dy, dh = grads[k] @ weight, dv * z[k]
        sent = functional.pad((v * fired)[:-1], (0, 0, 0, 0, 1, 0))  # y[k-1]
        grad_weight = grads.flatten(0, 1).T @ sent.flatten(0, 1)
        grad_bias = grads[..., 2 * size :].sum((0, 1))
        grad_x = torch.cat([grads[..., : 2 * size], candidate], -1)
        return grad_x, grad_weight, grad_bias, grad_theta, None, None, None


class EgruState(NamedTuple):
    """After a step: h, and what was sent, y; (B, H) each."""

    h: Tensor
    y: Tensor


class EgruRecurrence(NamedTuple):
    """The units a step at a time; ``weight``, ``own`` (3 H, H), ``bias`` (3 H,), the rest (H,)."""

    weight: Tensor
    bias: Tensor
    own: Tensor
    own_bias: Tensor
    theta: Tensor
    scanned: Callable[[Tensor], Tensor]

    def initial(self, u: Tensor) -> EgruState:
        nothing = torch.zeros_like(u[..., 0], dtype=self.weight.dtype)  # (B, H)
        return EgruState(nothing, nothing)

    def step(self, x: EgruState, u: Tensor) -> tuple[EgruState, Tensor]:
        update, reset, candidate = functional.linear(u, self.weight, self.bias).chunk(3, -1)
        of_update, of_reset, of_candidate = functional.linear(x.y, self.own).chunk(3, -1)
        z, r = torch.sigmoid(update + of_update), torch.sigmoid(reset + of_reset)
        g = torch.tanh(candidate + r * (of_candidate + self.own_bias))
        v = z * x.h + (1 - z) * g
        fired = v > self.theta
        return EgruState(v - self.theta * fired, v * fired), v

    def scan(self, u: Tensor) -> Tensor:
        """As in training: the steps follow one another."""
        return self.scanned(u)


class EgruLayer(Layer):
    """``y[k] = s[k] v[k]``, ``s = 1 if v > theta else 0``, of its input x::

        z, r = sigmoid(W x[k] + R y[k-1] + b)                 their rows of W, R and b
        g    = tanh(W_g x[k] + b_g + r (R_g y[k-1] + c))
        v[k] = z h[k-1] + (1 - z) g,   h[k] = v[k] - s[k] theta

    Its membrane is v, its output y, which is what mixing takes. ``weight`` W and
    ``recurrent_weight`` R (3 H, H), ``bias`` b (3 H,): rows of z, r, g; ``recurrent_bias`` c (H,);
    ``theta = sigmoid(threshold_logit)`` (H,), between 0 and 1, starts from a beta distribution of
    mean 0.3. Without input the state first decays by ``exp(-Delta)`` a step, Delta log-uniform in
    dt_min to dt_max, as of the other cells (b of z; the source starts from 0). The surrogate
    derivative of s is 0.7 times the configured one: ``triangle`` of ``surrogate_slope`` 1, ``0.7
    max(0, 1 - |v - theta|)``, is the published one. The steps follow one another, in the model's
    precision. ``through_time``, ``gradient_steps`` and ``through_reset`` are set by training
    (:func:`snn_ssm.training.methods.cut_time`).
    Source: Subramoney et al., ICLR 2023, arXiv 2206.06178, with the biases of its published code.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        h = config.channels
        self.weight = nn.Parameter(torch.empty(3 * h, h))
        self.recurrent_weight = nn.Parameter(torch.empty(3 * h, h))
        for rows in (self.weight, self.recurrent_weight):
            for block in rows.detach().chunk(3):
                scaled = rows is self.weight
                (nn.init.xavier_uniform_ if scaled else nn.init.orthogonal_)(block)
        rate = modes.init_log_dt(h, config.dt_min, config.dt_max, generator).float().exp()
        kept = torch.logit(torch.exp(-rate))  # (H,): z = exp(-rate)
        self.bias = nn.Parameter(torch.cat([kept, torch.zeros(2 * h)]))
        self.recurrent_bias = nn.Parameter(torch.zeros(h))
        first = _SPREAD * _FIRST_THRESHOLD / (1 - _FIRST_THRESHOLD)
        drawn = torch.distributions.Beta(first, _SPREAD).sample((h,)).clamp(0.01, 0.99)
        self.threshold_logit = nn.Parameter(torch.logit(drawn))
        self.surrogate, self.slope = config.surrogate, config.surrogate_slope
        self.through_time, self.through_reset = True, True
        self.gradient_steps: Tensor | None = None  # all

    def theta(self) -> Tensor:
        """The thresholds, (H,), computed in float64."""
        return torch.sigmoid(self.threshold_logit.double()).to(self.weight.dtype)

    def _surrogate(self, distance: Tensor) -> Tensor:
        return _HEIGHT * derivative(self.surrogate)(distance, self.slope)

    def output(self, y: Tensor, level: Tensor | None = None) -> Tensor:
        """``v H(v - theta)`` of membranes v (B, H, L)."""
        theta = self.theta() if level is None else level
        found: Tensor = _Events.apply(y.movedim(1, -1), theta.to(y.dtype), self._surrogate)
        return found.movedim(-1, 1)

    def forward(self, u: Tensor) -> Tensor:
        """The membrane of ``u``, (B, H, L) -> (B, H, L)."""
        with torch.autocast(u.device.type, enabled=False):
            x = functional.linear(u.permute(2, 0, 1).to(self.weight.dtype), self.weight, self.bias)
            v = _Loop.apply(
                x, self.recurrent_weight, self.recurrent_bias, self.theta(), self._surrogate,
                self.through_reset, not self.through_time,
            ).permute(1, 2, 0)  # fmt: skip
        return v if self.gradient_steps is None else OfSteps.apply(v, self.gradient_steps)

    def recurrence(
        self, level: Tensor | None = None, history: Tensor | None = None
    ) -> EgruRecurrence:
        theta = self.theta() if level is None else level.to(self.weight.dtype)
        return EgruRecurrence(
            self.weight, self.bias, self.recurrent_weight, self.recurrent_bias, theta, self.forward
        )
