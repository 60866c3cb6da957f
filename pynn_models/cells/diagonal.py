"""Small linear systems with a threshold, as a state-space cell: one mode an eigenvalue."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pynn_models.cells.checks import CellParameterError
from pynn_models.cells.reset import Reset
from pynn_models.cells.state_space import StateSpaceCell

_REAL = 1e-9  # of an eigenvalue: an imaginary part below it is rounding
_WORST = 1e10  # condition of the eigenvectors: beyond it six digits of a state are left


def diagonalised(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: float, taken: ArrayLike, *,
    theta: float, timestep: float, bias: float = 0.0, refractory: int = 0,
) -> StateSpaceCell:  # fmt: skip
    """One neuron of a real linear system of n states X, whose spikes take ``taken`` from these::

        X[k] = A (X[k-1] - taken s[k-1]) + B u[k],   y[k] = C X[k] + d u[k]
        s[k] = H(y[k] - theta)

    With A = V diag(lambda) V^-1 and beta = V^-1 B the modes are x_n = (V^-1 X)_n / beta_n:
    ``abar = lambda_n``, ``c = (C V)_n beta_n`` (twice that where a mode stands for a conjugate
    pair), ``r = (V^-1 taken)_n / beta_n``. Adaptive and resonating neurons are such systems, and so
    is a state-space layer followed by a leaky soma, where only the soma's mode has an r.

    Shapes: A (n, n); B, C, taken (n,). Units: ``timestep`` ms, the others dimensionless.
    Values: finite; |lambda| < 1; A diagonalisable, and every mode reached by the input.
    Raises: `CellParameterError`.
    """
    arrays = (np.asarray(x, np.float64) for x in (a, b, c, taken))
    matrix, enters, shows, takes = arrays
    size = len(matrix)
    if matrix.shape != (size, size) or any(v.shape != (size,) for v in (enters, shows, takes)):
        raise CellParameterError(
            f"diagonalised: A has shape {matrix.shape}, B {enters.shape}, C {shows.shape} and "
            f"taken {takes.shape}, expected (n, n) and three times (n,). Give one row a state."
        )
    poles, vectors = np.linalg.eig(matrix)
    if not np.linalg.cond(vectors) < _WORST:
        raise CellParameterError(
            f"diagonalised: the eigenvectors of A are dependent but for rounding (condition above "
            f"{_WORST:.0e}), so that it has no modes; expected distinct eigenvalues. Change a "
            "time constant, or use a system of fewer states."
        )
    keep = poles.imag >= -_REAL * np.abs(poles)
    _check_poles(poles)
    beta, r = np.linalg.solve(vectors, np.stack([enters, takes], axis=1)).T
    reached = np.abs(beta) > _REAL * np.linalg.norm(enters)
    if not reached.all():
        n = int(np.flatnonzero(~reached)[0])
        raise CellParameterError(
            f"diagonalised: the input does not reach the mode of eigenvalue {poles[n]:.6g}; "
            "expected B with a part of every eigenvector, since each mode of a cell receives its "
            "input. Couple this state to the others, or leave it out."
        )
    pairs = np.where(np.abs(poles.imag) > _REAL * np.abs(poles), 2.0, 1.0)
    readout, taken_ = (shows @ vectors) * beta * pairs, r / beta
    rows: list[NDArray[np.float64]] = [
        x[keep][None]
        for x in (
            -timestep / np.log(np.abs(poles)), np.angle(poles) / timestep, readout.real,
            readout.imag, taken_.real, taken_.imag,
        )
    ]  # fmt: skip
    tau, omega, c_re, c_im, r_re, r_im = rows
    one = np.ones(1)
    return StateSpaceCell(
        tau=tau, omega=omega, c_re=c_re, c_im=c_im, d=d * one, theta=theta * one, bias=bias * one,
        reset=Reset(r_re=r_re, r_im=r_im, refractory=refractory),
    )  # fmt: skip


def _check_poles(poles: NDArray[np.complex128]) -> None:
    bad = ~((np.abs(poles) < 1) & (np.abs(poles) > 0))
    if bad.any():
        pole = complex(poles[np.flatnonzero(bad)[0]])
        raise CellParameterError(
            f"diagonalised: A has the eigenvalue {pole:.6g}, of magnitude {abs(pole):.6g}; "
            "expected above 0 and below 1, so that it leaks with a time constant. Change the time "
            "constants."
        )
