"""The state-space neuron written from its equation, one step at a time, and random cells for it.

What the tests of the NEST model and of networks in NEST share that needs no NEST.
"""

import math

import numpy as np

from pynn_models.cells import Branches, StateSpaceCell


def dyadic(rng, shape, bits=20):
    """Numbers whose sums are exact in any order."""
    return rng.integers(-(2**bits), 2**bits, shape) / 2.0**bits


def random_cell(rng, n_neurons, n_modes, is_complex=True):
    """Cells whose membranes are of the size of their thresholds, however many modes they have."""
    modes = (n_neurons, n_modes)
    scale = 1.0 / max(1, n_modes)
    rotation = (
        {"omega": rng.uniform(-2, 2, modes), "c_im": rng.normal(size=modes) * scale}
        if is_complex
        else {}
    )
    return StateSpaceCell(
        tau=rng.uniform(0.5, 40, modes),
        c_re=rng.normal(size=modes) * scale,
        d=rng.normal(size=n_neurons),
        theta=rng.normal(size=n_neurons) * 0.3,
        bias=rng.normal(size=n_neurons) * 0.1,
        **rotation,
    )


def branches_of(rng, kind, n_neurons, count):
    """Random constants of ``count`` branches."""
    shape = (n_neurons, count)
    gsu = kind == "gsu"
    return Branches(
        kind=kind,
        value_bias=rng.normal(size=shape),
        gate_bias=rng.normal(size=shape),
        shift=rng.normal(size=shape) if gsu else np.zeros(shape),
        gain=rng.normal(size=shape) if gsu else np.ones(shape),
    )


def branch(kind, value, gate, shift, gain):
    """One neuron's ``b``, with Python's own exp and erf."""
    if kind == "glu":
        return value / (1.0 + math.exp(-gate))
    z = value * gate + shift
    return ((0.5 * z) * (1.0 + math.erf(z * 0.7071067811865476))) * gain


class Reference:
    """One population."""

    def __init__(self, cell, dt):
        self.cell = cell
        self.a_re = np.empty(cell.tau.shape)
        self.a_im = np.empty(cell.tau.shape)
        for where in np.ndindex(cell.tau.shape):
            omega = cell.omega[where] if cell.is_complex else 0.0
            decay = math.exp(-dt / cell.tau[where])
            self.a_re[where] = decay * math.cos(omega * dt)
            self.a_im[where] = decay * math.sin(omega * dt)
        self.reset()

    def reset(self):
        self.x_re = np.zeros(self.cell.tau.shape)
        self.x_im = np.zeros(self.cell.tau.shape)
        self.spikes = np.zeros(self.cell.n_neurons, int)
        self.rest = np.zeros(self.cell.n_neurons, int)
        self.before = [np.zeros(self.cell.n_neurons, bool)] * 32

    def step(self, arriving, pairs=()):
        """u, y, spikes; ``pairs``: what arrives at value and gate of each branch."""
        cell = self.cell
        u = arriving + cell.bias
        for p, (value, gate) in enumerate(pairs):
            u = u + self._branch(p, value + cell.branches.value_bias[:, p],
                                 gate + cell.branches.gate_bias[:, p])
        self._take()
        column = u[:, None]
        if cell.is_complex:
            x_re = (self.a_re * self.x_re - self.a_im * self.x_im) + column
            self.x_im = self.a_re * self.x_im + self.a_im * self.x_re
            self.x_re = x_re
            terms = cell.c_re * self.x_re - cell.c_im * self.x_im
        else:
            self.x_re = self.a_re * self.x_re + column
            terms = cell.c_re * self.x_re
        if cell.reset is not None and cell.reset.is_hard:
            for x in (self.x_re, self.x_im, terms):
                x[self.rest > 0] = 0
        total = np.zeros(len(u))
        for n in range(cell.n_modes):
            total = total + terms[:, n]
        y = total + cell.d * u
        return u, y, self._fire(y)

    def _take(self):
        reset, s = self.cell.reset, self.spikes[:, None]
        if reset is None:
            return
        if reset.is_hard:
            self.x_re, self.x_im = (np.where(s > 0, 0.0, x) for x in (self.x_re, self.x_im))
            return
        self.x_re = self.x_re - reset.r_re * s
        self.x_im = self.x_im if reset.r_im is None else self.x_im - reset.r_im * s

    def _fire(self, y):
        """The number of thresholds below y, (H,); a neuron that rests has none."""
        cell, raised = self.cell, np.zeros(len(y))
        if cell.history is not None:
            for j in range(cell.history.steps):
                raised = np.where(self.before[j], raised + cell.history.a[:, j], raised)
        every = [cell.theta]
        if cell.multiplicity is not None:
            every += list(cell.multiplicity.further.T)
        s = sum((y > theta + raised).astype(int) for theta in every)
        s = np.where(self.rest > 0, 0, s)
        refractory = 0 if cell.reset is None else cell.reset.refractory
        self.rest = np.where(s > 0, refractory, np.maximum(self.rest - 1, 0))
        self.before = [y > cell.theta, *self.before[:-1]]
        self.spikes = s
        return s

    def _branch(self, p, value, gate):
        branches = self.cell.branches
        shift, gain = branches.shift[:, p], branches.gain[:, p]
        rows = zip(value.tolist(), gate.tolist(), shift.tolist(), gain.tolist(), strict=True)
        return np.array([branch(branches.kind, *row) for row in rows])


def graded_sum(weights, values):
    """``sum_i W[i, j] y_i``, i ascending from 0, one product and one addition at a time."""
    total = np.zeros(weights.shape[1])
    for row, value in zip(weights, values, strict=True):
        total = total + row * value
    return total


def assert_identical(found, expected):
    for name, one, other in zip(("u", "y", "spikes"), found, expected, strict=True):
        assert one.shape == other.shape, name
        assert (one == other).all(), f"{name} differs first at {np.argwhere(one != other)[0]}"
