"""The network: thin torch modules over the pure functions of ``modes``, ``kernel``, ``spiking``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snn_ssm import kernel, modes
from snn_ssm.config import ModelConfig
from snn_ssm.mixing import LinearMixing
from snn_ssm.spiking import heaviside

DECAY_GRID = 2.0**15  # SpiNNaker computes a decay from an s16.15 exponent


class Output(NamedTuple):
    """Logits (B, classes) and each layer's membrane ``y`` and output ``s``, (B, H, L)."""

    logits: Tensor
    membranes: list[Tensor]
    outputs: list[Tensor]


class DiscreteModes(NamedTuple):
    """What the recurrence needs: ``abar`` (H, N), ``g`` (directions, H, N), ``d`` (H,)."""

    abar: Tensor
    g: Tensor
    d: Tensor


class StateSpaceLayer(nn.Module):
    """``x_n[k] = abar_n x_n[k-1] + bbar_n u[k]``, ``y = 2 Re(sum_n c_n x_n) + d u``, per channel.

    ``lambda = -exp(a) + i omega``, discretised with the step ``Delta = exp(log_dt)``; real modes
    have no omega and no factor 2. Parameters: ``a``, ``omega`` (H, N); ``log_dt``, ``d`` (H,);
    ``b`` (H, N, 2) and ``c`` (directions, H, N, 2), real and imaginary part last (absent for real
    modes). The modes' arithmetic is float64 whatever the model's precision, since the l-th power
    of a pole multiplies its rounding error by l. Source: arXiv 2401.00955, section 2.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        h, n = config.channels, config.modes
        self.method = config.discretisation
        self.is_complex = config.complex_modes
        directions = 2 if config.bidirectional else 1
        lam = modes.init_modes(config.mode_init, n).expand(h, n)  # (H, N)
        self.a = nn.Parameter(torch.log(-lam.real).float())
        self.log_dt = nn.Parameter(
            modes.init_log_dt(h, config.dt_min, config.dt_max, generator).float()
        )
        if self.is_complex:
            self.omega = nn.Parameter(lam.imag.float().clone())
            self.b = nn.Parameter(torch.tensor([1.0, 0.0]).expand(h, n, 2).clone())
            c_shape: tuple[int, ...] = (directions, h, n, 2)
        else:
            self.b = nn.Parameter(torch.ones(h, n))
            c_shape = (directions, h, n)
        self.c = nn.Parameter(torch.randn(c_shape, generator=generator) * 0.5**0.5)
        self.d = nn.Parameter(torch.randn(h, generator=generator))

    def discrete(self) -> DiscreteModes:
        """The poles and readout weights in float64; ``g = 2 c bbar`` (``c bbar`` if real)."""
        decay = -torch.exp(self.a.double())  # (H, N)
        dt = torch.exp(self.log_dt.double())  # (H,)
        b, c = self.b.double(), self.c.double()
        if self.is_complex:
            lam = torch.complex(decay, self.omega.double())
            b, c = torch.view_as_complex(b), 2 * torch.view_as_complex(c)
        else:
            lam = decay
        abar, bbar = modes.discretise(lam, b, dt, self.method)  # (H, N)
        return DiscreteModes(abar, c * bbar, self.d.double())

    def forward(self, u: Tensor) -> Tensor:
        """The layer as a convolution, in the precision of ``u``: (B, H, L) -> (B, H, L)."""
        abar, g, _ = self.discrete()
        ks = [kernel.kernel(abar, g_dir, u.shape[-1]).to(u.dtype) for g_dir in g]  # (H, L)
        if len(ks) == 2:
            return kernel.convolve_bidirectional(u, ks[0], ks[1], self.d)
        return kernel.convolve(u, ks[0], self.d)


class _RoundThrough(torch.autograd.Function):
    """Rounding whose gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


class StockLayer(nn.Module):
    """``x[k] = abar x[k-1] + u[k]``, ``y = x``, ``abar = exp(-n / 2^15)``, n a positive integer.

    What one synaptic current of ``IF_curr_exp`` does, whose decay on SpiNNaker is a function of the
    integer n. The one parameter, ``a`` (H,), is ``log(n / 2^15)`` before rounding; rounding passes
    its gradient through. The time constants start log-uniform in 1/dt_max to 1/dt_min steps.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        rate = modes.init_log_dt(config.channels, config.dt_min, config.dt_max, generator)
        self.a = nn.Parameter(rate.float())

    def discrete(self) -> DiscreteModes:
        """``abar`` (H, 1), ``g`` = 1, ``d`` = 0, in float64."""
        n = _RoundThrough.apply(torch.exp(self.a.double()) * DECAY_GRID).clamp(min=1)  # (H,)
        abar = torch.exp(-n / DECAY_GRID)[:, None]  # (H, 1)
        return DiscreteModes(abar, torch.ones_like(abar)[None], torch.zeros_like(n))

    def forward(self, u: Tensor) -> Tensor:
        """The layer as a convolution, in the precision of ``u``: (B, H, L) -> (B, H, L)."""
        abar, g, d = self.discrete()
        return kernel.convolve(u, kernel.kernel(abar, g[0], u.shape[-1]).to(u.dtype), d.to(u.dtype))


class ChannelLayerNorm(nn.LayerNorm):
    """A layer norm over the channels of each step: (B, H, L) -> (B, H, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


_NORMS = {"batch": nn.BatchNorm1d, "layer": ChannelLayerNorm, "none": lambda _: nn.Identity()}


class Block(nn.Module):
    """Pre-norm: ``h + D(W s(y(norm(h))))``; post-norm: ``norm(h + D(W s(y(h))))``.

    With stock cells, which have no constant current through their mode:
    ``h + D(W s(norm(y(h))))``, W without a bias.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.stock = config.cells == "stock"
        self.prenorm = config.prenorm
        self.activation = config.activation
        self.surrogate = config.surrogate
        self.slope = config.surrogate_slope
        self.norm = _NORMS[config.norm](config.channels)
        layer = StockLayer if self.stock else StateSpaceLayer
        self.ssm = layer(config, generator)
        self.mixing = LinearMixing(config.channels, bias=not self.stock)
        self.dropout = nn.Dropout1d(config.dropout)

    def before(self, h: Tensor) -> Tensor:
        """The layer's input u from the residual stream h, (B, H, L)."""
        return self.norm(h) if self.prenorm and not self.stock else h

    def membrane(self, y: Tensor) -> Tensor:
        """What is compared with the threshold, from the layer's y, (B, H, L)."""
        return self.norm(y) if self.stock else y

    def activate(self, y: Tensor) -> Tensor:
        """The layer's output from its membrane, any shape."""
        if self.activation == "gelu":
            return nn.functional.gelu(y)
        return heaviside(y, self.surrogate, self.slope)

    def after(self, h: Tensor, s: Tensor) -> Tensor:
        """The residual stream after the layer, (B, H, L)."""
        h = h + self.dropout(self.mixing(s))
        return h if self.prenorm or self.stock else self.norm(h)


class Network(nn.Module):
    """Encoder -> depth x block -> mean or last pooling -> linear decoder.

    Input ``p``: (B, C, L) channels, scaled by ``input_scale`` (``linear`` encoder), or (B, L)
    symbols (``embedding``). Causal unless ``bidirectional``.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder: nn.Module = (
                nn.Embedding(config.inputs, config.channels)
                if config.encoder == "embedding"
                else nn.Linear(config.inputs, config.channels, bias=config.cells != "stock")
            )
            self.blocks = nn.ModuleList(
                Block(config, generator) for _ in range(config.depth)
            )
            self.decoder = nn.Linear(config.channels, config.classes)

    def encode(self, p: Tensor) -> Tensor:
        """The residual stream before the first block, (B, H, L)."""
        if isinstance(self.encoder, nn.Embedding):
            return self.encoder(p.long()).transpose(1, 2)
        scaled = p.to(self.encoder.weight.dtype) * self.config.input_scale  # (B, C, L)
        h = torch.matmul(self.encoder.weight, scaled)  # (B, H, L)
        return h if self.encoder.bias is None else h + self.encoder.bias[:, None]

    def pool(self, h: Tensor) -> Tensor:
        """Logits (B, classes) from the residual stream (B, H, L)."""
        pooled = h.mean(-1) if self.config.pooling == "mean" else h[..., -1]
        return self.decoder(pooled)

    def forward(self, p: Tensor) -> Output:
        """The network as convolutions, for training."""
        return self._run(p, lambda block, u: block.ssm(u))

    def scan(self, p: Tensor) -> Output:
        """The network as blockwise recurrences (inference)."""

        def apply(block: Block, u: Tensor) -> Tensor:
            abar, g, d = _causal(block)
            return kernel.scan(u.double(), abar, g, d)[0].to(u.dtype)

        return self._run(p, apply)

    def _run(self, p: Tensor, apply: Callable[[Block, Tensor], Tensor]) -> Output:
        h = self.encode(p)  # (B, H, L)
        membranes, outputs = [], []
        for block in self.blocks:
            y = block.membrane(apply(block, block.before(h)))  # (B, H, L)
            s = block.activate(y)
            h = block.after(h, s)
            membranes.append(y)
            outputs.append(s)
        return Output(self.pool(h), membranes, outputs)

    @torch.no_grad()
    def steps(self, p: Tensor) -> Output:
        """The network one step at a time, the way a simulator runs it (inference).

        Within a step the layers follow one another; all states advance before the next step.
        """
        blocks: list[Block] = list(self.blocks)
        discrete = [_causal(block) for block in blocks]
        encoded = self.encode(p)  # (B, H, L)
        states = [
            d.abar.new_zeros(len(p), *d.abar.shape) for d in discrete  # (B, H, N)
        ]
        shape = encoded.shape
        membranes = [encoded.new_empty(shape) for _ in blocks]
        outputs = [encoded.new_empty(shape) for _ in blocks]
        stream = torch.empty_like(encoded)
        for k in range(shape[-1]):
            h = encoded[..., k : k + 1]  # (B, H, 1)
            for i, block in enumerate(blocks):
                u = block.before(h)[..., 0].double()  # (B, H)
                states[i], y = kernel.step(states[i], u, *discrete[i])
                y = block.membrane(y[..., None].to(h.dtype))  # (B, H, 1)
                s = block.activate(y)
                h = block.after(h, s)
                membranes[i][..., k : k + 1] = y
                outputs[i][..., k : k + 1] = s
            stream[..., k : k + 1] = h
        return Output(self.pool(stream), membranes, outputs)


def _causal(block: Block) -> DiscreteModes:
    abar, g, d = block.ssm.discrete()
    if len(g) == 2:
        raise modes.ModeError(
            "a bidirectional layer has no recurrence: it sees the future. "
            "Train with bidirectional = false to run step by step."
        )
    return DiscreteModes(abar, g[0], d)
