"""State-space layers whose spikes act back on their modes: a loop over the steps."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.model import reset
from snn_ssm.model.firing import Memory, Remembering
from snn_ssm.model.kernel import real_dot
from snn_ssm.model.layers import Layer, StateSpaceLayer
from snn_ssm.model.reset import Neurons, Resetting

_SOMA = 0.125  # a step: the decay of SpikingSSM's soma
_LEAST_SOMA = 0.5  # of its readout
_FIRST_TAKEN = 0.5  # of what the modes add to a membrane: by it a spike lowers the next one
_LEAST = 1e-12  # of sum |g abar|^2, which is 0 of a neuron without a readout


class ResetState(NamedTuple):
    """Modes (B, H, N) after a step, its spikes (B, H), and what these remember."""

    x: Tensor
    s: Tensor
    fired: Memory


class ResetRecurrence(NamedTuple):
    """The equations of :mod:`snn_ssm.model.reset`, a step at a time; the arithmetic is float64."""

    neurons: Neurons
    firing: Remembering

    def initial(self, u: Tensor) -> ResetState:
        zero = torch.zeros_like(u[..., 0], dtype=torch.float64)  # (B, H)
        abar = self.neurons.abar
        return ResetState(abar.new_zeros(len(u), *abar.shape), zero, self.firing.initial(u))

    def step(self, x: ResetState, u: Tensor) -> tuple[ResetState, Tensor]:
        abar, g, d, _, r = self.neurons
        took = x.s[..., None]
        z = x.x * (1 - took) if r is None else x.x - r * took  # (B, H, N)
        z = abar * z + u.double()[..., None]
        if r is None:
            z = z.masked_fill(x.fired.rest > 0, 0)
        y = real_dot(g, z) + d * u.double()  # (B, H)
        fired, s = self.firing.step(x.fired, y[..., None])
        return ResetState(z, s[..., 0], fired), y.to(u.dtype)

    def scan(self, u: Tensor) -> Tensor:
        how = Resetting(self.firing.refractory)
        return reset.run(u, self.neurons, how, self.firing.a)[0]


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
    """A :class:`StateSpaceLayer` with ``theta`` (H,), learned from 0, and, but for a hard reset, r.

    ``r`` (H, N, 2), real and imaginary part last ((H, N) if real), is what a spike takes from each
    mode; at first ``r_n = w conj(g_n abar_n) / (2 sum_m |g_m abar_m|^2)``, by which a spike lowers
    the next membrane by w/2. Of a soma it is (H,), what the last mode alone loses, at first
    ``w/(2 g)``, so that w/2 is taken from the membrane that spiked. There w is the deviation of the
    modes' part of a membrane for white input of variance 1, and at most 1: a few weak modes would
    lose more than they hold. The steps follow one another, in the model's precision.
    ``through_reset``, set by training (:func:`snn_ssm.training.methods.cut_time`): whether the
    gradient of a spike goes through its reset, too.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__(config, generator)
        self.refractory = config.refractory
        self.theta = nn.Parameter(torch.zeros(config.channels))
        self.kind = config.reset
        if self.kind == "soma":
            self._begin_as_two_stages()
        if self.kind != "hard":
            self.r = nn.Parameter(self._first_r())
        self.through_reset = True

    @torch.no_grad()
    def _first_r(self) -> Tensor:
        found = self.discrete()
        seen = found.g[0] * found.abar  # (H, N): what the next membrane shows of a mode
        if self.kind == "soma":
            seen = found.g[0][:, -1:].real  # what this one shows
        power = seen.abs().square().sum(-1, keepdim=True).clamp(min=_LEAST)
        deviation = _deviation(found.abar, found.g[0])[:, None].clamp(max=1)
        r = _FIRST_TAKEN * deviation * seen.conj() / power
        if self.kind == "soma":
            return r[:, 0].float()
        parts = torch.view_as_real(r.resolve_conj()) if r.is_complex() else r
        return parts.float().clone()

    @torch.no_grad()
    def _begin_as_two_stages(self) -> None:
        """Modes and feedthrough of a plain layer, y, and behind it ``v[k] = beta v[k-1] + y[k]``.

        The membrane v is one sum of modes: with ``y = Re(sum_n g_n x_n) + d u`` the n-th has the
        readout ``g_n abar_n / (abar_n - beta)``, the soma's ``d - Re(sum_n g_n beta / (abar_n -
        beta))``, and no feedthrough is left. Where that readout is weak d is another one, so that
        what a spike takes from the soma is not far above what that holds. The soma is the last
        mode; being real at first, it has no gradient by which it would not stay so.
        """
        sets = len(self.a)
        decay = math.log(-math.log(_SOMA)) - self.log_dt.view(-1, sets).mean(0)
        self.a[:, -1], self.omega[:, -1] = decay, 0
        abar, g, d = self.discrete()
        shares = g[0] / torch.view_as_complex(self.c[0].double())  # of c in g, (H, N)
        beta, others, g = abar[:, -1:].real, abar[:, :-1], g[0][:, :-1]
        behind = g * others / (others - beta)
        own = d - (g * beta / (others - beta)).sum(-1).real
        own = torch.where(own < 0, -1.0, 1.0) * own.abs().clamp(min=_LEAST_SOMA)
        whole = torch.cat([behind, own[:, None].to(behind.dtype)], -1) / shares
        whole[:, -1] = whole[:, -1].real.clone()  # of one channel both are the same memory
        self.c[0] = torch.view_as_real(whole)
        self.d.zero_()

    def taken(self) -> Tensor | None:
        """r (H, N), complex or real, in float64; None of a hard reset."""
        if self.kind == "hard":
            return None
        r = self.r.double()
        if self.kind == "soma":
            r = functional.pad(r[:, None], (self.c.shape[2] - 1, 0))
            return torch.complex(r, torch.zeros_like(r))
        return torch.view_as_complex(r) if self.is_complex else r

    def neurons(self) -> Neurons:
        found = self.discrete()
        return Neurons(found.abar, found.g[0], found.d, self.theta.double(), self.taken())

    def forward(self, u: Tensor) -> Tensor:
        return reset.run(u, self.neurons(), Resetting(self.refractory, self.through_reset))[0]

    def recurrence(
        self, level: Tensor | None = None, history: Tensor | None = None
    ) -> ResetRecurrence:
        neurons = self.neurons()
        above = neurons.theta if level is None else level.double()
        return ResetRecurrence(neurons, Remembering(above, history, self.refractory))


def native_layer(config: ModelConfig, generator: torch.Generator) -> Layer:
    """The layer of native cells, with a reset or without."""
    kind = StateSpaceLayer if config.reset == "none" else ResettingLayer
    return kind(config, generator)
