"""One block of the network: norm, layer, spikes, mixing and the residual around them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.kinds import CELLS
from snn_ssm.model import lif, reset, spiking
from snn_ssm.model.delays import Recurrent
from snn_ssm.model.firing import Firing, Memoryless, Remembering
from snn_ssm.model.layers import Layer, Recurrence
from snn_ssm.model.loading import load
from snn_ssm.model.mixing import make_mixing
from snn_ssm.model.norms import make_norm
from snn_ssm.model.reset import Resetting

_CONTINUOUS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard-sigmoid": functional.hardsigmoid,
    "relu": torch.relu,
    "gelu": functional.gelu,
    "identity": lambda y: y,
}
_FIRST_RAISE = 0.1  # of the threshold by a step of a history
_FIRST_DELTA = 0.5  # about 0.15 of the largest of a few hundred membranes of unit variance


def detached(state: Tensor | tuple[Tensor, ...]) -> Any:
    """A layer's state, of one or several parts, without its gradient."""
    if isinstance(state, Tensor):
        return state.detach()
    return type(state)(*(part.detach() for part in state))


def _raised(a: Tensor, p: Tensor) -> Tensor:
    """``sum_j a_j p[k-j]``: what a history a (H, J) adds to the threshold; p (B, H, L)."""
    kernel = a.to(p.dtype).flip(-1)[:, None]  # (H, 1, J), the oldest first
    past = functional.pad(p, (a.shape[1], 0))[..., :-1]
    return functional.conv1d(past, kernel, groups=len(kernel))



class Block(nn.Module):
    """Pre-norm: ``h + D(W s(y(norm(h) + r)))``; post-norm: ``norm(h + D(W s(y(h + r))))``.

    y is the layer, s the activation, W the mixing (which may read the membrane too), D dropout, and
    r what the layer's spikes of earlier steps bring, ``R s[t - 1]`` if ``recurrent``, else 0.
    With stock cells, which have no constant current through their mode:
    ``h + D(W s(norm(y(h))))``, W without a bias. With ``membrane_norm`` the membrane is a batch
    norm of the layer's y. The activations on a membrane y:

    ``heaviside``: 1 if y > 0 (LIF: y > 1; with a reset: y > theta, a parameter) else 0. With a
    ``history`` of J steps, a parameter a (H, J): 1 if ``y[k] > sum_j a_j p[k-j]``, where p is 1 if
    y > 0 else 0. ``integer``: how many of 1/2, 3/2, ...,
    ``spike_levels`` - 1/2 are below y. ``ternary``, ``ternary-constant``: T(y) with the
    threshold ``0.15 max_h |y|`` of the step, or ``exp(log_threshold)``, a parameter (H,).
    ``bernoulli``: in training 1 with probability sigmoid(y), in evaluation 1 if y > 0. Without
    spikes: ``sigmoid``, ``tanh``, ``hard-sigmoid`` (``min(max(y/6 + 1/2, 0), 1)``), ``relu``,
    ``gelu`` (exact), ``identity``.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.stock = config.cells == "stock"
        self.theta = lif.THRESHOLD if config.cells == "lif" else 0.0
        self.prenorm = config.prenorm
        self.activation = config.activation
        self.surrogate = config.surrogate
        self.slope = config.surrogate_slope
        self.levels = config.spike_levels
        self.norm = make_norm(config.norm, config.channels)
        self.ssm: Layer = load(CELLS[config.cells].layer)(config, generator)
        self.membrane_norm = make_norm("batch", config.channels) if config.membrane_norm else None
        if self.activation == "ternary-constant":
            first = torch.full((config.channels,), math.log(_FIRST_DELTA))
            self.log_threshold = nn.Parameter(first)
        self.history: nn.Parameter | None = None
        if config.history:
            self.history = nn.Parameter(torch.full((config.channels, config.history), _FIRST_RAISE))
        self.mixing = make_mixing(config)
        self.recurrent = Recurrent(config) if config.recurrent else None
        self.resets, self.refractory = config.reset != "none", config.refractory
        self.delays = config.delays
        self.dropout = nn.Dropout1d(config.dropout)
        self.through_time = True
        self.gradient_steps: Tensor | None = None  # all

    @property
    def looped(self) -> bool:
        """Whether spikes act back, so that the steps follow one another."""
        return self.recurrent is not None or self.resets

    def before(self, h: Tensor) -> Tensor:
        """The layer's input u from the residual stream h, (B, H, L)."""
        return self.norm(h) if self.prenorm and not self.stock else h

    def membrane(self, y: Tensor) -> Tensor:
        """What is compared with the threshold, from the layer's y, (B, H, L)."""
        if self.membrane_norm is not None:
            return self.membrane_norm(y)
        return self.norm(y) if self.stock else y

    def fire(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Membrane and output, (B, H, L) each, from the layer's y."""
        y = self.membrane(y)
        return y, self.activate(y)

    def respond(self, u: Tensor, scanned: bool = False) -> tuple[Tensor, Tensor]:
        """Membrane and output of the layer's input u, (B, H, L) each.

        ``scanned``: by the recurrence, for inference, where steps need not follow one another.
        """
        if not self.looped:
            return self.fire(self.ssm.recurrence().scan(u) if scanned else self.ssm(u))
        if self.recurrent is not None and self.activation != "heaviside":
            return self.loop(u, self.recurrent)
        how = Resetting(
            self.refractory, self.ssm.through_reset, not self.through_time, self.surrogate,
            self.slope,
        )  # fmt: skip
        y, s = reset.run(u, self.ssm.neurons(), how, self.history, self.recurrent)
        if self.gradient_steps is None:
            return y, s
        steps = self.gradient_steps
        return lif.OfSteps.apply(y, steps), lif.OfSteps.apply(s, steps)

    def run(self, h: Tensor, scanned: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The residual stream to go on with, membrane and output of stream h, (B, H, L) each.

        ``scanned`` as :meth:`respond`.
        """
        if scanned or self.looped or self.stock or not self.prenorm:
            return (h, *self.respond(self.before(h), scanned))
        y, h = self.ssm.normed(h, self.norm)
        return (h, *self.fire(y))

    def recurrence(self, level: Tensor | None = None) -> Recurrence:
        """The layer a step at a time; ``level`` as :meth:`activate`."""
        return self.ssm.recurrence(level, self._raises())

    def firing(self, level: Tensor | None = None) -> Firing:
        """What :meth:`fire` does to a membrane, a step at a time; ``level`` as :meth:`activate`."""
        if self.history is None and not self.resets:
            return Memoryless(lambda y: self.activate(y, level))
        above = self.ssm.neurons().theta if level is None else level.double()
        return Remembering(above, self._raises(), self.refractory)

    def _raises(self) -> Tensor | None:
        return None if self.history is None else self.history.double()

    def threshold(self, y: Tensor) -> Tensor:
        """The ternary activation's delta for a membrane (B, H, L): (B, 1, L) or (H, 1)."""
        if self.activation == "ternary":
            return spiking.step_threshold(y)
        return torch.exp(self.log_threshold)[:, None]

    def activate(self, y: Tensor, level: Tensor | None = None) -> Tensor:
        """The layer's output s from its membrane, (B, H, L).

        ``level`` (H,): what a spiking layer's membrane must exceed, in place of its threshold; of
        integer spikes, for the first one.
        """
        own = self.ssm.output(y, level)
        if own is not None:
            return own
        if self.activation in _CONTINUOUS:
            return _CONTINUOUS[self.activation](y)
        if self.activation.startswith("ternary"):
            delta = self.threshold(y) if level is None else level[:, None]
            return spiking.ternary(y, delta, self.surrogate, self.slope)
        if self.activation == "integer":
            if level is None:
                return spiking.integer(y, self.levels)
            return spiking.count(y, level[:, None], self.levels)
        if self.activation == "bernoulli" and self.training:
            return spiking.bernoulli(y)
        if level is not None:
            y = y - level[:, None]
        elif self.theta:
            y = y - self.theta
        s = spiking.heaviside(y, self.surrogate, self.slope)
        if self.history is None:
            return s
        return spiking.heaviside(y - _raised(self.history, s), self.surrogate, self.slope)

    def loop(self, u: Tensor, recurrent: Recurrent) -> tuple[Tensor, Tensor]:
        """Membrane and output of a recurrent layer whose spikes are other than steps, or that has
        none, a step after the other, (B, H, L) each.

        The gradient goes through time, unless ``through_time`` is false; with ``gradient_steps``
        the outputs of other steps have none. Both are set by training
        (:func:`snn_ssm.training.methods.cut_time`).
        """
        recurrence, product = self.ssm.recurrence(), recurrent.product()
        x, past = recurrence.initial(u), u.new_zeros(*u.shape[:2], recurrent.memory)
        kept = None if self.gradient_steps is None else set(self.gradient_steps.tolist())
        membranes, outputs = [], []
        # Taken apart at once: the gradient of an indexed step would be an array of all steps.
        for k, now in enumerate(u.movedim(-1, 0).contiguous().unbind()):
            if not self.through_time:
                x, past = detached(x), past.detach()
            x, y = recurrence.step(x, now + product(past))
            y = self.membrane(y[..., None])  # (B, H, 1)
            if kept is not None and k not in kept:
                y = y.detach()
            s = self.activate(y)
            past = s if recurrent.memory == 1 else torch.cat([past[..., 1:], s], dim=-1)
            membranes.append(y)
            outputs.append(s)
        return torch.cat(membranes, -1), torch.cat(outputs, -1)

    def after(self, h: Tensor, y: Tensor, s: Tensor, before: Tensor | None = None) -> Tensor:
        """The residual stream after the layer of membrane y and output s, (B, H, L).

        ``before`` (B, H, delays): of a layer whose mixing is delayed, s of the steps before these.
        A mixing may have a method ``onto(h, y, s)``, which is ``h + mixing(y, s)`` in fewer passes.
        """
        if self.delays:
            h = h + self.dropout(self.mixing(y, s, before))
        elif hasattr(self.mixing, "onto") and not (self.training and self.dropout.p > 0):
            h = self.mixing.onto(h, y, s)
        else:
            h = h + self.dropout(self.mixing(y, s))
        return h if self.prenorm or self.stock else self.norm(h)
