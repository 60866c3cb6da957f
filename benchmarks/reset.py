"""The loops of neurons on which spikes act back, compiled, against the same loops in plain torch.

Forward and backward of one layer of 64 channels, float32, one thread: leaky integrate-and-fire
neurons against the loop in torch that they had, whose backward pass is written out; and a soft
reset of 16 complex modes, with the gradient through the reset, and recurrent leaky neurons with a
delay an axon of up to 12 steps, against autograd's own of the steps. The results are compared
first.

Targets: leaky neurons 4 x at 32 sequences of 784 steps; 16 modes 15 x; recurrent ones 2 x.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import _timing  # first, see there
import torch
from torch import Tensor

from snn_ssm.config import ModelConfig
from snn_ssm.model import reset
from snn_ssm.model.delays import Recurrent
from snn_ssm.model.layout import by_sample
from snn_ssm.model.lif import LeakyRecurrence, _LeakyReset
from snn_ssm.model.lif import leaky as leaky_neurons
from snn_ssm.model.reset import Neurons, Resetting
from snn_ssm.training.allocation import keep_memory

CHANNELS, MODES = 64, 16
Work = Callable[[], list[Tensor]]


def activation(batch: int, steps: int) -> Tensor:
    """(B, H, L), by channels in memory as in a network."""
    return by_sample(torch.randn(CHANNELS, batch, steps)).requires_grad_()


def leaky(batch: int, steps: int) -> tuple[Work, Work]:
    """Both loops of leaky neurons: membranes and gradients."""
    u, upstream = activation(batch, steps), activation(batch, steps).detach()
    beta = torch.rand(CHANNELS).requires_grad_()

    def ours() -> list[Tensor]:
        v = LeakyRecurrence(beta).scan(u)
        return [v, *torch.autograd.grad(v, (u, beta), upstream)]

    def plain() -> list[Tensor]:
        v = _LeakyReset.apply(u.permute(2, 0, 1).contiguous(), beta, False).permute(1, 2, 0)
        return [v, *torch.autograd.grad(v, (u, beta), upstream)]

    return ours, plain


def soft(batch: int, steps: int) -> tuple[Work, Work]:
    """Both loops of modes that a spike lowers: membranes and gradients."""
    u, upstream = activation(batch, steps), activation(batch, steps).detach()
    poles = torch.randn(CHANNELS, MODES, dtype=torch.complex64)
    abar = (0.9 * poles / (1 + poles.abs())).requires_grad_()
    g, r = (torch.randn_like(poles).requires_grad_() for _ in range(2))
    d, theta = torch.zeros(CHANNELS), torch.ones(CHANNELS)

    def work(loop: Callable[..., tuple[Tensor, Tensor]]) -> list[Tensor]:
        y, _ = loop(u, Neurons(abar, g, d, theta, r), Resetting())
        return [y, *torch.autograd.grad(y, (u, abar, g, r), upstream)]

    return lambda: work(reset.run), lambda: work(reset.steps)


def recurrent(batch: int, steps: int) -> tuple[Work, Work]:
    """Both loops of recurrent leaky neurons, whose delays are learned."""
    u, upstream = activation(batch, steps), activation(batch, steps).detach()
    config = ModelConfig(
        channels=CHANNELS, recurrent=True, recurrent_delays=12, delay_per="axon"
    )
    own, beta = Recurrent(config), torch.rand(CHANNELS).requires_grad_()

    def work(loop: Callable[..., tuple[Tensor, Tensor]]) -> list[Tensor]:
        _, s = loop(u, leaky_neurons(beta), Resetting(through=False), None, own)
        return [s, *torch.autograd.grad(s, (u, beta, *own.parameters()), upstream)]

    return lambda: work(reset.run), lambda: work(reset.steps)


def compare(what: str, both: tuple[Work, Work], target: float, repetitions: int) -> None:
    """Check that both give the same, time them by turns, and print the verdict."""
    print(what)
    ours, plain = both
    pairs = list(zip(ours(), plain(), strict=True))
    # A membrane that rounding puts on the other side of the threshold changes what follows.
    close = [((a - b).abs() <= 1e-3 * b.abs().max()).float().mean() for a, b in pairs[:1]]
    _timing.require(float(min(close)) >= 0.999, f"membranes, {100 * float(min(close)):.2f} %")
    times = _timing.interleave(
        {"plain torch": lambda: _timing.stopwatch(plain), "ours": lambda: _timing.stopwatch(ours)},
        repetitions,
    )
    _timing.verdict("times plain torch's speed", _timing.ratio(*times), target, " x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_memory()
    print(_timing.machine())
    for batch, steps in ((32, 784), (8, 784), (2, 4096)):
        what = f"leaky neurons, {batch} sequences of {steps} steps"
        compare(what, leaky(batch, steps), 4.0, options.repetitions)
    compare("soft reset of 16 complex modes, 32 x 784", soft(32, 784), 15.0, 1)
    compare("recurrent leaky neurons, 64 x 112", recurrent(64, 112), 2.0, options.repetitions)


if __name__ == "__main__":
    main()
