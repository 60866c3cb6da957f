"""How a training step grows with the length of the sequence, and a plain implementation beside it.

A step is forward, loss and backward of two blocks, 64 channels, 16 complex modes, batch norm,
Heaviside spikes and linear mixing; without the optimiser, whose work does not depend on the length.

Growth: L = 1,024 to 16,384 in one run, 2 sequences. Time must grow at most as L log L (the Fourier
transforms; by chunks as L), memory as L (the activations); printed are the ratios of successive
doublings beside those of L log L and L, and the whole range's. Short sequences carry a step's fixed
cost, so that growth may lie below. Peak memory is taken as in ``kernel.py``, from processes of
their own. All keep the memory of freed arrays, as training does.

Compared at L = 4,096, 8 sequences: the same network, from the same parameters, whose layers compute
their kernel from the materialised (H, N, L) Vandermonde matrix in complex64 and convolve by torch's
own Fourier transforms at twice the length, the way S4D's reference code does. The project's modes
are complex128.

Targets: time from 1,024 to 16,384 at most 1.25 times that of L log L, memory at most 1.1 times that
of L; >= 2 x the plain implementation's speed.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import _timing  # first, see there
import torch
from kernel import status
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model.modes import discretise
from snn_ssm.model.network import Network
from snn_ssm.training.allocation import keep_memory

LENGTHS = (1024, 2048, 4096, 8192, 16384)
COMPARED = 4096
FEW, MANY = 2, 8  # sequences in a batch
TIME_TARGET, MEMORY_TARGET, SPEED_TARGET = 1.25, 1.1, 2.0
REPETITIONS = 3
CONFIG = ModelConfig(channels=64, modes=16, depth=2, surrogate="arctan", surrogate_slope=2.0)


class PlainLayer(nn.Module):
    """A state-space layer as S4D's reference code writes it, with the parameters of another."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, u: Tensor) -> Tensor:
        """The membrane of ``u``, (B, H, L) -> (B, H, L)."""
        p, length = self.layer, u.shape[-1]
        lam = torch.complex(-torch.exp(p.a), p.omega)  # (H, N)
        dt = torch.exp(p.log_dt)  # (H,)
        _, bbar = discretise(lam, torch.view_as_complex(p.b), dt, "zoh")  # (H, N)
        steps = torch.arange(length)
        powers = torch.exp((lam * dt[:, None])[..., None] * steps)  # (H, N, L)
        g = torch.view_as_complex(p.c[0]) * bbar  # (H, N)
        k = 2 * torch.einsum("hn,hnl->hl", g, powers).real  # (H, L)
        u_f = torch.fft.rfft(u, n=2 * length)  # (B, H, L + 1)
        k_f = torch.fft.rfft(k, n=2 * length)  # (H, L + 1)
        y = torch.fft.irfft(u_f * k_f, n=2 * length)[..., :length]  # (B, H, L)
        return y + u * p.d[:, None]


def project() -> Network:
    """The project's network."""
    return Network(CONFIG)


def plain() -> Network:
    """The same network from the same parameters, with plain layers."""
    network = Network(CONFIG)
    for block in network.blocks:
        block.ssm = PlainLayer(block.ssm)
    return network


def batch(size: int, length: int) -> tuple[Tensor, Tensor]:
    """Inputs (B, 1, L) and labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (size, 1, length), generator=generator, dtype=torch.uint8)
    return inputs, torch.arange(size) % CONFIG.classes


def step(network: Network, size: int, length: int) -> _timing.Elapsed:
    """Forward, loss and backward, timed."""
    inputs, labels = batch(size, length)

    def work() -> None:
        network.zero_grad()
        nn.functional.cross_entropy(network(inputs).logits, labels).backward()

    return _timing.stopwatch(work)


def print_peak(length: int) -> None:
    """Run one step in this process, which does nothing else, and print the bytes it took."""
    network = project()
    step(network, FEW, 64)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    step(network, FEW, length)
    print(status("VmHWM") - before)


def peak(length: int, threads: int) -> float:
    """MiB that one step adds, in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(threads), "--peak", str(length)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(result.stdout) / 2**20


def growth(threads: int) -> None:
    """Time and memory over LENGTHS, against L log L and L."""
    network = project()
    step(network, FEW, LENGTHS[-1])
    times = _timing.interleave(
        {f"{n:,} steps": lambda n=n: step(network, FEW, n) for n in LENGTHS},  # type: ignore[misc]
        REPETITIONS,
    )
    seconds = [min(taken.cpu) for taken in times]
    memory = [peak(n, threads) for n in LENGTHS]
    work = [n * math.log2(n) for n in LENGTHS]
    for i in range(len(LENGTHS) - 1):
        print(
            f"  {LENGTHS[i]:,} -> {LENGTHS[i + 1]:,}: time x {seconds[i + 1] / seconds[i]:.2f} "
            f"(L log L: {work[i + 1] / work[i]:.2f}), memory {memory[i]:.0f} -> "
            f"{memory[i + 1]:.0f} MiB, x {memory[i + 1] / memory[i]:.2f} (L: 2)"
        )
    time = seconds[-1] / seconds[0] / (work[-1] / work[0])
    space = memory[-1] / memory[0] / (LENGTHS[-1] / LENGTHS[0])
    _timing.verdict("growth of time over that of L log L", time, TIME_TARGET, "", at_least=False)
    _timing.verdict("growth of memory over that of L", space, MEMORY_TARGET, "", at_least=False)


def comparison() -> None:
    """The project's step against the plain one at COMPARED."""
    networks = {"project": project(), "vandermonde": plain()}
    inputs, _ = batch(MANY, COMPARED)
    with torch.no_grad():
        one, other = (network.train()(inputs).membranes[0] for network in networks.values())
    error = float((one - other).abs().max() / one.abs().max())
    _timing.require(error <= 1e-3, f"the first layer's membranes, within {error:.1e}")
    times = _timing.interleave(
        {name: lambda n=n: step(n, MANY, COMPARED)  # type: ignore[misc]
         for name, n in networks.items()},
        REPETITIONS,
    )
    _timing.verdict("times faster", _timing.ratio(times[1], times[0]), SPEED_TARGET, " x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", type=int, metavar="L", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_memory()
    if options.peak:
        print_peak(options.peak)
        return
    print(_timing.machine())
    print(f"one step of {FEW} sequences, {options.threads} threads")
    growth(options.threads)
    print(f"L = {COMPARED:,}, {MANY} sequences, against a Vandermonde matrix in complex64")
    comparison()


if __name__ == "__main__":
    main()
