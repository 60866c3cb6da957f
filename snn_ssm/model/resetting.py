"""State-space layers whose spikes act back on their modes: a loop over the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model import reset
from snn_ssm.model.firing import Firing, Resting
from snn_ssm.model.kernel import real_dot
from snn_ssm.model.layers import Layer, StateSpaceLayer
from snn_ssm.model.lif import OfSteps
from snn_ssm.model.reset import Resetting

_FIRST_TAKEN = 0.5  # of what the modes add to a membrane: by it a spike lowers the next one
_LEAST = 1e-12  # of sum |g abar|^2, which is 0 of a neuron without a readout


class ResetState(NamedTuple):
    """Modes (B, H, N) after a step, its spikes and the steps of rest that are left, (B, H)."""

    x: Tensor
    s: Tensor
    rest: Tensor


class ResetRecurrence(NamedTuple):
    """The equations of :mod:`snn_ssm.model.reset`, a step at a time; the arithmetic is float64.

    ``abar``, ``g``, ``r`` (H, N), r None for a hard reset; ``d``, ``level`` (H,).
    """

    abar: Tensor
    g: Tensor
    d: Tensor
    level: Tensor
    r: Tensor | None
    refractory: int

    def initial(self, u: Tensor) -> ResetState:
        zero = torch.zeros_like(u[..., 0], dtype=torch.float64)  # (B, H)
        return ResetState(self.abar.new_zeros(len(u), *self.abar.shape), zero, zero)

    def step(self, x: ResetState, u: Tensor) -> tuple[ResetState, Tensor]:
        took, held = x.s[..., None], x.rest > 0
        z = x.x * (1 - took) if self.r is None else x.x - self.r * took  # (B, H, N)
        z = self.abar * z + u.double()[..., None]
        if self.r is None:
            z = z.masked_fill(held[..., None], 0)
        y = real_dot(self.g, z) + self.d * u.double()  # (B, H)
        s = (y > self.level).double().masked_fill(held, 0)
        rest = torch.where(s > 0, float(self.refractory), (x.rest - 1).clamp(min=0))
        return ResetState(z, s, rest), y.to(u.dtype)

    def scan(self, u: Tensor) -> Tensor:
        how = Resetting(self.refractory)
        return reset.run(u, self.abar, self.g, self.d, self.level, self.r, how)[0]


def _deviation(abar: Tensor, g: Tensor) -> Tensor:
    """``sqrt(sum_k Re(sum_n g_n abar_n^k)^2)``, (H, N) -> (H,): the sums over k in closed form.

    That is y's standard deviation for white input of variance 1, without d.
    """
    def summed(a: Tensor, c: Tensor) -> Tensor:
        terms = g[:, :, None] * c[:, None] / (1 - abar[:, :, None] * a[:, None])  # (H, N, N)
        return terms.sum((1, 2)).real if terms.is_complex() else terms.sum((1, 2))

    if not abar.is_complex():
        return summed(abar, g).clamp(min=0).sqrt()
    both = summed(abar, g) + summed(abar.conj(), g.conj())
    return (both / 2).clamp(min=0).sqrt()


class ResettingLayer(StateSpaceLayer):
    """A :class:`StateSpaceLayer` with ``theta`` (H,), learned from 0, and, of a soft reset, r.

    ``r`` (H, N, 2), real and imaginary part last ((H, N) if real), is what a spike takes from each
    mode; at first ``r_n = w conj(g_n abar_n) / (2 sum_m |g_m abar_m|^2)``, by which a spike lowers
    the next membrane by w/2. There w is the deviation of the modes' part of a membrane for white
    input of variance 1, and at most 1: a few weak modes would lose more than they hold. The
    gradient of a spike goes through its reset, too. The steps follow
    one another, in the model's precision. ``through_time``, ``gradient_steps``: as of LIF layers.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__(config, generator)
        self.refractory = config.refractory
        self.surrogate, self.slope = config.surrogate, config.surrogate_slope
        self.theta = nn.Parameter(torch.zeros(config.channels))
        self.soft = config.reset == "soft"
        if self.soft:
            self.r = nn.Parameter(self._first_r())
        self.through_time = True
        self.gradient_steps: Tensor | None = None  # all

    @torch.no_grad()
    def _first_r(self) -> Tensor:
        found = self.discrete()
        seen = found.g[0] * found.abar  # (H, N): what the next membrane shows of a mode
        power = seen.abs().square().sum(-1, keepdim=True).clamp(min=_LEAST)
        deviation = _deviation(found.abar, found.g[0])[:, None].clamp(max=1)
        r = _FIRST_TAKEN * deviation * seen.conj() / power
        parts = torch.view_as_real(r.resolve_conj()) if r.is_complex() else r
        return parts.float().clone()

    def taken(self) -> Tensor | None:
        """r (H, N), complex or real, in float64; None of a hard reset."""
        if not self.soft:
            return None
        r = self.r.double()
        return torch.view_as_complex(r) if self.is_complex else r

    def run(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Membranes and spikes of ``u``, (B, H, L) each."""
        found = self.discrete()
        how = Resetting(
            self.refractory, instant=not self.through_time, surrogate=self.surrogate,
            slope=self.slope,
        )
        y, s = reset.run(u, found.abar, found.g[0], found.d, self.theta, self.taken(), how)
        if self.gradient_steps is None:
            return y, s
        return OfSteps.apply(y, self.gradient_steps), OfSteps.apply(s, self.gradient_steps)

    def forward(self, u: Tensor) -> Tensor:
        return self.run(u)[0]

    def respond(
        self, u: Tensor, fire: Callable[[Tensor], tuple[Tensor, Tensor]], scanned: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The loop spikes itself."""
        return self.run(u)

    def firing(self, level: Tensor | None, activate: Callable[[Tensor], Tensor]) -> Firing:
        return Resting(self.theta if level is None else level, self.refractory)

    def recurrence(self, level: Tensor | None = None) -> ResetRecurrence:
        found = self.discrete()
        above = self.theta.double() if level is None else level
        return ResetRecurrence(
            found.abar, found.g[0], found.d, above, self.taken(), self.refractory
        )


def native_layer(config: ModelConfig, generator: torch.Generator) -> Layer:
    """The layer of native cells, with a reset or without."""
    kind = StateSpaceLayer if config.reset == "none" else ResettingLayer
    return kind(config, generator)
