"""The state-space layer, and what every layer of modes shares: one set of poles, three ways to run.

A layer maps its input u to its membrane y, both (B, H, L). ``forward`` runs it for training;
``recurrence()`` gives the same map one step at a time, or scanned.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model import chunks, kernel, modes, norms
from snn_ssm.model.quantise import quantise_poles
from snn_ssm.model.reset import Neurons


class Recurrence(Protocol):
    """A layer as a simulator runs it: a state, and what a step does to it."""

    def initial(self, u: Tensor) -> Any:
        """The state before the first step of an input (B, H, L)."""

    def step(self, x: Any, u: Tensor) -> tuple[Any, Tensor]:
        """The next state, and the membrane (B, H), from the state and the input (B, H)."""

    def scan(self, u: Tensor) -> Tensor:
        """The membrane of a whole input, (B, H, L) -> (B, H, L)."""


class ModeRecurrence(NamedTuple):
    """``x[k] = abar x[k-1] + u[k]``, ``y = Re(sum_n g_n x_n) + d u``; the arithmetic is float64.

    ``abar``, ``g`` (H, N); ``d`` (H,). States are (B, H, N).
    """

    abar: Tensor
    g: Tensor
    d: Tensor

    def initial(self, u: Tensor) -> Tensor:
        return self.abar.new_zeros(len(u), *self.abar.shape)  # (B, H, N)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        x, y = kernel.step(x, u.double(), *self)
        return x, y.to(u.dtype)

    def scan(self, u: Tensor) -> Tensor:
        return kernel.scan(u.double(), *self)[0].to(u.dtype)


class DiscreteModes(NamedTuple):
    """``abar`` (H, N), readout weights ``g = c bbar`` (directions, H, N), ``d`` (H,), float64."""

    abar: Tensor
    g: Tensor
    d: Tensor

    def convolve(self, u: Tensor) -> Tensor:
        """The layer as a convolution, in the precision of ``u``: (B, H, L) -> (B, H, L).

        By chunks or by transforms, whichever is the faster; bidirectional ones by transforms.
        """
        if len(self.g) == 1 and chunks.worth_it(u, self.abar):
            return chunks.convolve(u, self.abar, self.g[0], self.d)
        ks = [kernel.kernel(self.abar, g, u.shape[-1]).to(u.dtype) for g in self.g]  # (H, L)
        d = self.d.to(u.dtype)
        if len(ks) == 2:
            return kernel.convolve_bidirectional(u, ks[0], ks[1], d)
        return kernel.convolve(u, ks[0], d)

    def convolve_normed(self, h: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """:meth:`convolve` of ``norm(h)``, and h to go on with: :meth:`Layer.normed`."""
        if not (len(self.g) == 1 and chunks.worth_it(h, self.abar) and norms.in_one_pass(h, norm)):
            return self.convolve(norm(h)), h
        return chunks.convolve_normed(h, norm, self.abar, self.g[0], self.d)

    def recurrence(self) -> ModeRecurrence:
        """The layer as a recurrence; raises ``ModeError`` for a bidirectional one."""
        if len(self.g) == 2:
            raise modes.ModeError(
                "a bidirectional layer has no recurrence: it sees the future. "
                "Train with bidirectional = false to run step by step."
            )
        return ModeRecurrence(self.abar, self.g[0], self.d)


class Layer(nn.Module):
    """A map of the input u to the membrane y, (B, H, L) -> (B, H, L), run in several ways."""

    through_reset = False
    """Whether the gradient of a spike goes through its reset: none has it that is a constant."""
    surrogate, slope = "", 1.0
    """Of a layer whose own events have a gradient; of others the block's spikes have it."""

    def normed(self, h: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """The membrane of ``norm(h)``, and the h to go on with, whose gradients may be one."""
        return self(norm(h)), h

    def neurons(self) -> Neurons:
        """The layer's neurons for a loop over the steps, in which their spikes act back.

        Raises ``ModeError`` for a layer that is no such loop.
        """
        raise modes.ModeError(
            f"{type(self).__name__} has no modes: it is a loop of its own. Train with "
            "model.cells = \"native\" or \"lif\" for what needs one."
        )

    def output(self, y: Tensor, level: Tensor | None = None) -> Tensor | None:
        """The layer's output of its membrane (B, H, L), if its neurons say it and no activation
        does; ``level`` (H,): what the membrane must exceed, in place of the threshold."""
        return None

    @abstractmethod
    def recurrence(
        self, level: Tensor | None = None, history: Tensor | None = None
    ) -> Recurrence:
        """The layer one step at a time; raises ``ModeError`` where it looks ahead, too.

        Of a layer that a spike resets: ``level`` (H,), what its membrane must exceed for that, in
        place of its threshold, and ``history`` (H, J), what moves that level.
        """


class ModeLayer(Layer):
    """A layer that is its discrete modes: convolved in training, a recurrence in a simulator."""

    @abstractmethod
    def discrete(self) -> DiscreteModes:
        """The poles and readout weights of the present parameters, in float64."""

    def forward(self, u: Tensor) -> Tensor:
        """The membrane of ``u`` by convolution, (B, H, L) -> (B, H, L)."""
        return self.discrete().convolve(u)

    def normed(self, h: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        return self.discrete().convolve_normed(h, norm)

    def recurrence(
        self, level: Tensor | None = None, history: Tensor | None = None
    ) -> Recurrence:
        return self.discrete().recurrence()

    def neurons(self) -> Neurons:
        found = self.discrete()
        zero = torch.zeros_like(found.d)
        return Neurons(found.abar, found.g[0], found.d, zero, torch.zeros_like(found.abar))


class StateSpaceLayer(ModeLayer):
    """``x_n[k] = abar_n x_n[k-1] + bbar_n u[k]``, ``y = 2 Re(sum_n c_n x_n) + d u``, per channel.

    ``lambda = -exp(a) + i omega``, discretised with the step ``Delta = exp(log_dt)``; real modes
    have no omega and no factor 2. Parameters: ``a``, ``omega`` (S, N); ``b`` (S, N, 2) and ``c``
    (directions, H, N, 2), real and imaginary part last (absent for real modes); ``log_dt``, ``d``
    (H,). There are S = H sets of modes, or S = ``n_ssm``, and channel h has set h mod S. The modes'
    arithmetic is float64 whatever the model's precision, since the l-th power of a pole multiplies
    its rounding error by l. With ``quantise_decays`` the poles are those that SpiNNaker can hold.
    Source: arXiv 2401.00955, section 2.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        h, n, sets = config.channels, config.modes, config.n_ssm or config.channels
        self.method = config.discretisation
        self.is_complex = config.complex_modes
        self.quantise = config.quantise_decays
        directions = 2 if config.bidirectional else 1
        lam = modes.init_modes(config.mode_init, n).expand(sets, n)  # (S, N)
        self.a = nn.Parameter(torch.log(-lam.real).float())
        self.log_dt = nn.Parameter(
            modes.init_log_dt(h, config.dt_min, config.dt_max, generator).float()
        )
        if self.is_complex:
            self.omega = nn.Parameter(lam.imag.float().clone())
            self.b = nn.Parameter(torch.tensor([1.0, 0.0]).expand(sets, n, 2).clone())
            c_shape: tuple[int, ...] = (directions, h, n, 2)
        else:
            self.b = nn.Parameter(torch.ones(sets, n))
            c_shape = (directions, h, n)
        self.c = nn.Parameter(torch.randn(c_shape, generator=generator) * 0.5**0.5)
        self.d = nn.Parameter(torch.randn(h, generator=generator))

    def discrete(self) -> DiscreteModes:
        """``g = 2 c bbar`` (``c bbar`` if real) of bbar before the poles are quantised."""
        dt = torch.exp(self.log_dt.double())  # (H,)
        lam, b, c = -torch.exp(self.a.double()), self.b.double(), self.c.double()
        if self.is_complex:
            lam = torch.complex(lam, self.omega.double())  # (S, N)
            b, c = torch.view_as_complex(b), 2 * torch.view_as_complex(c)
        if len(lam) < len(dt):
            lam, b = (x.repeat(len(dt) // len(x), 1) for x in (lam, b))  # (H, N): set h mod S
        abar, bbar = modes.discretise(lam, b, dt, self.method)  # (H, N)
        if self.quantise:
            abar = quantise_poles(abar)
        return DiscreteModes(abar, c * bbar, self.d.double())
