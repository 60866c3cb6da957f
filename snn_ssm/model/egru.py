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
        gates, candidate = x.split([2 * theta.shape[0], theta.shape[0]], -1)
        # What update and reset gate and the recurrent input begin with; one product adds the rest.
        begun = torch.cat([gates, bias.expand_as(candidate)], -1)
        h = y = torch.zeros_like(candidate[0])  # (B, H)
        found = []
        for k in range(len(x)):
            own = torch.addmm(begun[k], y, weight.T)  # (B, 3 H)
            z, r = torch.sigmoid(own[:, : gates.shape[-1]]).chunk(2, -1)
            q = own[:, gates.shape[-1] :]
            g = torch.addcmul(candidate[k], r, q).tanh_()
            v = torch.lerp(g, h, z)  # z h + (1 - z) g
            fired = v > theta
            y, h = v * fired, v - theta * fired
            found.append((v, z, r, q, g))
        v, z, r, q, g = (torch.stack(parts) for parts in zip(*found, strict=True))
        ctx.save_for_backward(v, z, r, q, g, weight, theta)
        ctx.surrogate, ctx.through, ctx.instant = surrogate, through, instant
        return v

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        v, z, r, q, g, weight, theta = ctx.saved_tensors
        grad, fired = grad.contiguous(), v > theta  # contiguous: else strided by step
        slope = ctx.surrogate(v - theta)
        of_h = 1 - theta * slope if ctx.through else torch.ones_like(v)
        of_y = fired + v * slope
        before = _later(v - theta * fired)  # h[k-1]
        of_g = (1 - z) * (1 - g * g)
        # Of z, r and q before their functions: dv times these, (L, B, 3, H).
        factors = torch.stack([(before - g) * z * (1 - z), of_g * q * r * (1 - r), of_g * r], 2)
        products = torch.empty_like(factors)
        of_v, carried_h, carried_y = (torch.empty_like(v) for _ in range(3))
        dh = dy = torch.zeros_like(v[0])
        for k in range(len(v) - 1, -1, -1):
            carried_h[k], carried_y[k] = dh, dy
            dv = torch.addcmul(torch.addcmul(grad[k], dh, of_h[k]), dy, of_y[k], out=of_v[k])
            torch.mul(dv[:, None], factors[k], out=products[k])
            if not ctx.instant:
                dy, dh = products[k].flatten(1) @ weight, dv * z[k]
        of_theta = carried_h * ((theta * slope if ctx.through else 0) - fired.to(v.dtype))
        of_theta -= carried_y * v * slope
        grads = products.flatten(2)  # (L, B, 3 H)
        grad_weight = grads.flatten(0, 1).T @ _later(v * fired).flatten(0, 1)  # of y[k-1]
        grad_x = torch.cat([grads[..., : 2 * v.shape[-1]], of_v * of_g], -1)
        grad_bias = products[:, :, 2].sum((0, 1))
        return grad_x, grad_weight, grad_bias, of_theta.sum((0, 1)), None, None, None


def _later(x: Tensor) -> Tensor:
    """(L, B, H) of the step before; 0 at the first."""
    return functional.pad(x[:-1], (0, 0, 0, 0, 1, 0))


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
