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


class Historic(NamedTuple):
    """``s[k] = H(y[k] - level - sum_j a_j p[k-j])``, ``p[k] = H(y[k] - level)``; float64.

    ``level`` (H,), ``a`` (H, J), summed from j = 1 on. The state is p of the last J steps,
    (B, H, J), the last step first.
    """

    level: Tensor
    a: Tensor

    def initial(self, u: Tensor) -> Tensor:
        return self.a.new_zeros(len(u), *self.a.shape)

    def step(self, state: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        raised = torch.zeros_like(state[..., 0])  # (B, H)
        for j in range(self.a.shape[1]):
            raised = raised + self.a[:, j] * state[..., j]
        p = (y > self.level[:, None]).to(state.dtype)  # (B, H, 1)
        s = y > (self.level + raised)[..., None]
        return torch.cat([p, state[..., :-1]], -1), s.to(y.dtype)


class Resting(NamedTuple):
    """``s[k] = H(y[k] - level)``, and 0 in the ``refractory`` steps after a spike; level (H,).

    The state is the steps of rest that are left, (B, H, 1).
    """

    level: Tensor
    refractory: int

    def initial(self, u: Tensor) -> Tensor:
        return torch.zeros_like(u[..., :1])

    def step(self, state: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        s = (y > self.level[:, None]).to(y.dtype).masked_fill(state > 0, 0)
        return torch.where(s > 0, float(self.refractory), (state - 1).clamp(min=0)), s
