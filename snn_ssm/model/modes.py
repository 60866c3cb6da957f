"""State-space modes: initialisation and discretisation (pure functions).

A layer of H channels has N modes a channel, ``lambda = -exp(a) + i omega`` (one complex mode
stands for a conjugate pair), and a step ``Delta`` a channel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pynn_models.errors import SnnSsmError


class ModeError(SnnSsmError):
    """A mode that does not decay, an unknown initialisation or an unknown discretisation."""


def init_lin(n: int) -> Tensor:
    """``lambda_n = -1/2 + i pi n``: S4D-Lin, shape (N,), complex128.

    Source: Gu et al. 2022, *On the Parameterization and Initialization of Diagonal State Space
    Models*, section 4.
    """
    return torch.complex(torch.full((n,), -0.5, dtype=torch.float64), _index(n) * math.pi)


def init_inv(n: int) -> Tensor:
    """``lambda_n = -1/2 + i (M/pi) (M/(2n+1) - 1)``, M = 2N: S4D-Inv, shape (N,), complex128.

    M is the state size, of which N modes are one of each conjugate pair. Source: as S4D-Lin.
    """
    size = 2 * n
    omega = size / math.pi * (size / (2 * _index(n) + 1) - 1)
    return torch.complex(torch.full((n,), -0.5, dtype=torch.float64), omega)


def init_legs(n: int) -> Tensor:
    """``lambda_n = -1/2 + i eig_n(S)``: S4D-LegS, shape (N,), complex128.

    S is the skew-symmetric part of the normal component of HiPPO-LegS of state size 2N,
    ``S_jk = sign(j - k) sqrt((2j+1)(2k+1)) / 2``; the N eigenvalues of negative imaginary part,
    the fastest first. Source: as S4D-Lin, section 3.
    """
    root = torch.sqrt(2 * _index(2 * n) + 1)
    skew = -0.5 * torch.tril(root[:, None] * root[None, :], diagonal=-1)
    skew = skew - skew.T  # (2N, 2N)
    omega = torch.linalg.eigvalsh(skew.to(torch.complex128) * -1j)[:n]
    return torch.complex(torch.full((n,), -0.5, dtype=torch.float64), omega)


def init_real(n: int) -> Tensor:
    """``lambda_n = -(n + 1)``: S4D-Real, shape (N,), complex128 with zero imaginary part."""
    return torch.complex(-(_index(n) + 1), torch.zeros(n, dtype=torch.float64))


def init_legt(n: int) -> Tensor:
    """The poles of a Legendre memory of order d = 2N over a window of 1, shape (N,), complex128.

    The eigenvalues, of positive imaginary part, the slowest first, of LegT's
    ``A_ij = -(2i + 1) (1 if i < j else (-1)^(i - j))``, i, j = 0 .. d - 1. With ``Delta`` = 1/theta
    the window is theta steps, and any reading of the memory is a readout of these modes. Their
    eigenvectors part ever less: N is at most 8 in a configuration.
    Source: Voelker, Kajic & Eliasmith 2019, *Legendre Memory Units*.
    """
    i = _index(2 * n)
    alternating = (-1.0) ** (i[:, None] - i[None, :])
    below = i[:, None] >= i[None, :]
    a = -(2 * i[:, None] + 1) * torch.where(below, alternating, torch.ones_like(alternating))
    found = torch.linalg.eigvals(a)
    found = found[found.imag > 0]
    return found[found.imag.argsort()]


_INITS = {
    "s4d-lin": init_lin,
    "s4d-inv": init_inv,
    "s4d-legs": init_legs,
    "s4d-real": init_real,
    "legt": init_legt,
}


def _index(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64)


def init_modes(name: str, n: int) -> Tensor:
    """The initial modes of an initialisation by its name, shape (N,), complex128.

    Raises :class:`ModeError` for a name that is not one of ``s4d-lin``, ``s4d-inv``, ``s4d-legs``,
    ``s4d-real``, ``legt``.
    """
    if name not in _INITS:
        raise ModeError(f"unknown mode initialisation {name!r}; use one of {', '.join(_INITS)}.")
    return _INITS[name](n)


def init_log_dt(h: int, dt_min: float, dt_max: float, generator: torch.Generator) -> Tensor:
    """``log Delta ~ U(log dt_min, log dt_max)``, shape (H,), float64."""
    low, high = math.log(dt_min), math.log(dt_max)
    return low + (high - low) * torch.rand(h, generator=generator, dtype=torch.float64)


def discretise(
    lam: Tensor, b: Tensor, dt: Tensor, method: str = "zoh"
) -> tuple[Tensor, Tensor]:
    """The discrete pole and input weight of each mode.

    ZOH: ``abar = exp(lambda Delta)``, ``bbar = (abar - 1)/lambda b``. Bilinear:
    ``abar = (1 + lambda Delta/2)/(1 - lambda Delta/2)``, ``bbar = Delta/(1 - lambda Delta/2) b``.

    Shapes: ``lam``, ``b`` (H, N); ``dt`` (H,), in the time unit of 1/lambda; both results (H, N).
    Raises :class:`ModeError` for a mode with Re(lambda) >= 0 and for an unknown method.
    Source: Stan & Rhodes, arXiv 2401.00955, section 2; Gu et al. 2022, section 3.
    """
    real = lam.real if lam.is_complex() else lam
    if not bool((real < 0).all()):
        h, n = (int(i) for i in (~(real < 0)).nonzero()[0])
        raise ModeError(
            f"mode [{h}, {n}] has Re(lambda) = {real[h, n].item()!r}; expected below 0, so that "
            "it decays. Lower the rate of the modes, or clamp the parameter a."
        )
    step = dt[:, None]  # (H, 1)
    if method == "zoh":
        exponent = lam * step  # (H, N)
        return torch.exp(exponent), torch.expm1(exponent) / lam * b
    if method == "bilinear":
        half = lam * step / 2  # (H, N)
        return (1 + half) / (1 - half), step / (1 - half) * b
    raise ModeError(f"unknown discretisation {method!r}; use 'zoh' or 'bilinear'.")
