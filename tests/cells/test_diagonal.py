"""Small linear systems as cells: adaptive, resonating, and a state-space layer before a soma."""

import numpy as np
import pytest

from export.software import run_cell
from pynn_models import CellParameterError, diagonalised


def direct(a, b, c, d, taken, theta, u, refractory=0):
    """The equations as they stand: membranes and spikes of an input (L,)."""
    x, s, rest, ys, ss = np.zeros(len(a)), 0, 0, [], []
    for value in u:
        x = a @ (x - taken * s) + b * value
        y = c @ x + d * value
        s = int(y > theta and rest == 0)
        rest = refractory if s else max(rest - 1, 0)
        ys.append(y)
        ss.append(s)
    return np.array(ys), np.array(ss)


def adaptive():
    """SiLIF, adaptive LIF: a leaky membrane, and a slower current that it and its spikes feed."""
    alpha, beta = 0.9, 0.97
    a = np.array([[alpha, -(1 - alpha)], [0.1 * (1 - beta) * 10, beta]])
    taken = np.linalg.solve(a, np.array([0.8, -0.3]))  # the membrane less 0.8, the current plus 0.3
    return a, np.array([1 - alpha, 0.0]), np.array([1.0, 0.0]), 0.0, taken, 0.15


def resonator():
    """C-SiLIF: one complex mode, of which a spike takes half."""
    pole = 0.95 * np.exp(0.4j)
    a = np.array([[pole.real, -pole.imag], [pole.imag, pole.real]])
    return a, np.array([0.3, 0.0]), np.array([1.0, 0.0]), 0.0, np.array([0.5, 0.0]), 0.6


def spiking_ssm():
    """SpikingSSM: modes y = C x + D u, then v[k] = beta (v[k-1] - s[k-1]) + y[k]."""
    poles, c = np.array([0.9, 0.5, -0.3]), np.array([0.4, -0.7, 0.2])
    inner, d, beta = np.diag(poles), 0.3, 0.8
    a = np.block([[inner, np.zeros((3, 1))], [(c * poles)[None], np.array([[beta]])]])
    b = np.append(np.ones(3), c.sum() + d)
    only_soma = np.array([0.0, 0, 0, 1])
    return a, b, only_soma, 0.0, 2 * only_soma, 2.5


SYSTEMS = {"adaptive": adaptive, "resonator": resonator, "spiking ssm": spiking_ssm}


@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_cell_is_the_system(name, refractory):
    *system, theta = SYSTEMS[name]()
    u = np.random.default_rng(1).normal(0.4, 1.5, 300)
    cell = diagonalised(*system, theta=theta, timestep=0.5, refractory=refractory)
    spikes, membrane = run_cell(cell, u[None, :, None], 0.5, membrane=True)
    y, s = direct(*system, theta, u, refractory)
    assert 10 < s.sum() < 200
    assert (spikes[0, :, 0] == s).all()
    assert np.abs(membrane[0, :, 0] - y).max() < 1e-9 * np.abs(y).max()


def test_of_a_soma_behind_modes_only_its_own_mode_is_reset():
    *system, theta = spiking_ssm()
    cell = diagonalised(*system, theta=theta, timestep=1.0)
    r = np.hypot(cell.reset.r_re, cell.reset.r_im)[0]
    soma = np.argmin(np.abs(np.exp(-1 / cell.tau[0]) - 0.8))
    assert r[soma] > 0.1 and np.delete(r, soma).max() < 1e-12


def test_one_mode_stands_for_a_pair():
    *system, theta = resonator()
    assert diagonalised(*system, theta=theta, timestep=1.0).n_modes == 1


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([[0.9, 1.0], [0.0, 0.9]], [1.0, 1.0], "the eigenvectors of A are dependent"),
        ([[1.2, 0.0], [0.0, 0.5]], [1.0, 1.0], "the eigenvalue 1.2.*, of magnitude 1.2"),
        ([[0.0, 0.0], [0.0, 0.5]], [1.0, 1.0], "of magnitude 0; expected above 0"),
        ([[0.9, 0.0], [0.0, 0.5]], [1.0, 0.0], "does not reach the mode of eigenvalue 0.5"),
        ([[0.9, 0.0]], [1.0], r"A has shape \(1, 2\)"),
        ([[0.9]], [1.0, 1.0], r"B \(2,\)"),
    ],
)
def test_systems_that_no_cell_is(a, b, message):
    size = len(b)
    with pytest.raises(CellParameterError, match=message):
        diagonalised(a, b, np.ones(size), 0.0, np.zeros(size), theta=1.0, timestep=1.0)
