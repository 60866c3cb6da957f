"""Spikes from membranes, one step at a time, with what they remember of the steps before.

A whole sequence at once, for training, is :meth:`snn_ssm.model.block.Block.activate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Firing(Protocol):
    """How a layer's membranes become its output, a step at a time."""

    def initial(self, u: Tensor) -> Any:
        """The state before the first step of an input (B, H, L)."""

    def step(self, state: Any, y: Tensor) -> tuple[Any, Tensor]:
        """The next state and the output (B, H, 1), from the state and the membrane (B, H, 1)."""


class Memoryless(NamedTuple):
    """An output of the step's membrane alone."""

    activate: Callable[[Tensor], Tensor]

    def initial(self, u: Tensor) -> None:
        return None

    def step(self, state: None, y: Tensor) -> tuple[None, Tensor]:
        return None, self.activate(y)


class Memory(NamedTuple):
    """``p`` of the last J steps, (B, H, J), the last one first; steps of rest left, (B, H, 1)."""

    p: Tensor
    rest: Tensor


class Remembering(NamedTuple):
    """``s[k] = H(y[k] - level - sum_j a_j p[k-j])``, ``p[k] = H(y[k] - level)``; float64.

    And 0 in the ``refractory`` steps after a spike. ``level`` (H,), ``a`` (H, J), summed from j = 1
    on, or None: no history.
    """

    level: Tensor
    a: Tensor | None = None
    refractory: int = 0

    def initial(self, u: Tensor) -> Memory:
        steps = 0 if self.a is None else self.a.shape[1]
        nothing = torch.zeros_like(u[..., :1], dtype=torch.float64)
        return Memory(nothing.expand(-1, -1, steps), nothing)

    def step(self, state: Memory, y: Tensor) -> tuple[Memory, Tensor]:
        raised = torch.zeros_like(state.rest[..., 0])  # (B, H)
        for j in range(state.p.shape[-1]):
            raised = raised + self.a[:, j] * state.p[..., j]  # type: ignore[index]
        p = (y > self.level[:, None]).to(state.p.dtype)  # (B, H, 1)
        s = (y > (self.level + raised)[..., None]).to(p.dtype).masked_fill(state.rest > 0, 0)
        rest = torch.where(s > 0, float(self.refractory), (state.rest - 1).clamp(min=0))
        return Memory(torch.cat([p, state.p], -1)[..., :-1], rest), s.to(y.dtype)
