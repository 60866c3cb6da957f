"""The kernel, forward and backward, against the plain Vandermonde product.

Compared: ``snn_ssm.model.kernel.kernel``, K = Re(sum_n g_n abar_n^l) from two tables of sqrt(L)
powers, with ``exp(log_abar[..., None] * arange(L))`` of shape (H, N, L) and an einsum over the
modes, the way S4D's reference code writes it. Both get log_abar and g and return the
gradients of both. The poles are S4D-Lin's with steps Delta from 1e-3 to 1e-1, as
at the start of training. The targets are for complex64; the model calls the function in
complex128 (--dtype).

Targets: >= 5 x at (H, N, L) = (128, 32, 784), >= 20 x at (256, 32, 16384).

Peak memory is the kernel's own record of the resident set (VmHWM, reset before the measured call)
of a fresh process each, less the resident set before the call, after inputs and a small warm-up.
ru_maxrss would not do: a new process inherits the maximum of the one that started it. Linux only.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import _timing  # first, see there
import torch
from torch import Tensor

from snn_ssm.model.kernel import kernel
from snn_ssm.model.modes import init_lin

SIZES = {(128, 32, 784): 5.0, (256, 32, 16384): 20.0}  # (H, N, L): target
REPETITIONS = {784: 15, 16384: 2}
Kernel = Callable[[Tensor, Tensor, int], Tensor]


def project(log_abar: Tensor, g: Tensor, length: int) -> Tensor:
    """The project's: (H, N), (H, N) -> (H, L)."""
    return kernel(torch.exp(log_abar), g, length)


def vandermonde(log_abar: Tensor, g: Tensor, length: int) -> Tensor:
    """The plain one: a matrix of all powers, (H, N, L)."""
    powers = torch.exp(log_abar[..., None] * torch.arange(length))  # (H, N, L)
    return torch.einsum("hn,hnl->hl", g, powers).real


CANDIDATES: dict[str, Kernel] = {"project": project, "vandermonde": vandermonde}


def inputs(h: int, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """``log_abar = lambda Delta`` and ``g``, (H, N), to be differentiated."""
    generator = torch.Generator().manual_seed(0)
    log_dt = math.log(1e-3) + math.log(1e2) * torch.rand(h, 1, generator=generator).double()
    log_abar = (init_lin(n) * torch.exp(log_dt)).to(dtype)
    g = torch.randn(h, n, generator=generator, dtype=torch.complex64).to(dtype)
    return log_abar.requires_grad_(), g.requires_grad_()


def both_ways(f: Kernel, h: int, n: int, length: int, dtype: torch.dtype) -> list[Tensor]:
    """The kernel and the gradients of ``sum(K * weight)`` by log_abar and g."""
    log_abar, g = inputs(h, n, dtype)
    k = f(log_abar, g, length)
    weight = torch.randn(h, length, generator=torch.Generator().manual_seed(1)).to(k.dtype)
    return [k.detach(), *torch.autograd.grad(k, (log_abar, g), weight)]


def difference(a: list[Tensor], b: list[Tensor]) -> float:
    """The largest difference, relative to the largest value of each tensor."""
    return max(float((x - y).abs().max() / y.abs().max()) for x, y in zip(a, b, strict=True))


def check(n: int, length: int, dtype: torch.dtype) -> None:
    """Kernel and gradients agree in complex128; their rounding in ``dtype`` is printed."""
    plain = both_ways(vandermonde, 4, n, length, torch.complex128)
    found = difference(both_ways(project, 4, n, length, torch.complex128), plain)
    _timing.require(found <= 1e-9, f"kernel and gradients in complex128, within {found:.1e}")
    for name, f in CANDIDATES.items():
        error = difference(both_ways(f, 4, n, length, dtype), plain)
        print(f"  rounding error of {name} in {dtype}: {error:.1e}")


def status(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(f"{field}:")) * 1024


def print_peak(f: Kernel, h: int, n: int, length: int, dtype: torch.dtype) -> None:
    """Run once in this process, which does nothing else, and print the bytes it took."""
    both_ways(f, 2, 2, 16, dtype)
    arguments = inputs(h, n, dtype)
    weight = torch.ones(h, length)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    k = f(*arguments, length)
    torch.autograd.grad(k, arguments, weight.to(k.dtype))
    print(status("VmHWM") - before)


def peak(name: str, h: int, n: int, length: int, options: argparse.Namespace) -> float:
    """MiB that one forward and backward pass of a candidate adds, in a process of its own."""
    command = [sys.executable, __file__, "--threads", str(options.threads)]
    command += ["--dtype", options.dtype, "--peak", name, str(h), str(n), str(length)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(result.stdout) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["complex64", "complex128"], default="complex64")
    parser.add_argument("--peak", nargs=4, metavar=("NAME", "H", "N", "L"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    if options.peak:
        h, n, length = (int(size) for size in options.peak[1:])
        print_peak(CANDIDATES[options.peak[0]], h, n, length, dtype)
        return
    print(_timing.machine())
    for (h, n, length), target in SIZES.items():
        print(f"(H, N, L) = {(h, n, length)}, {options.dtype}, {options.threads} threads")
        check(n, length, dtype)
        memory = {name: peak(name, h, n, length, options) for name in CANDIDATES}
        print("  peak memory: " + ", ".join(f"{k} {v:.0f} MiB" for k, v in memory.items())
              + f"; one matrix of (H, N, L): {h * n * length * dtype.itemsize / 2**20:.0f} MiB")

        def run(f: Kernel, h: int = h, n: int = n, length: int = length) -> _timing.Elapsed:
            log_abar, g = inputs(h, n, dtype)
            weight = torch.ones(h, length, dtype=dtype.to_real())

            def work() -> None:
                torch.autograd.grad(f(log_abar, g, length), (log_abar, g), weight)

            return _timing.stopwatch(work)

        run(project)
        times = _timing.interleave(
            {name: lambda f=f: run(f) for name, f in CANDIDATES.items()},  # type: ignore[misc]
            REPETITIONS[length],
        )
        _timing.verdict("times faster", _timing.ratio(times[1], times[0]), target, " x")


if __name__ == "__main__":
    main()
