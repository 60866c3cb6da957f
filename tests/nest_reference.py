"""The state-space neuron written from its equation, one step at a time, and NEST at hand.

What the tests of the NEST model and of networks in NEST share.
"""

import math

import nest
import numpy as np
import pyNN.nest as sim

from pynn_models.nest import install


def setup(dt=1.0, min_delay_steps=1, threads=1):
    sim.setup(
        timestep=dt,
        min_delay=min_delay_steps * dt,
        max_delay=40 * dt,
        spike_precision="on_grid",
        threads=threads,
    )
    nest.verbosity = nest.VerbosityLevel.ERROR
    install()


def dyadic(rng, shape, bits=20):
    """Numbers whose sums are exact in any order."""
    return rng.integers(-(2**bits), 2**bits, shape) / 2.0**bits


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

    def step(self, arriving, pairs=()):
        """u, y, spikes; ``pairs``: what arrives at value and gate of each branch."""
        cell = self.cell
        u = arriving + cell.bias
        for p, (value, gate) in enumerate(pairs):
            u = u + self._branch(p, value + cell.branches.value_bias[:, p],
                                 gate + cell.branches.gate_bias[:, p])
        column = u[:, None]
        if cell.is_complex:
            x_re = (self.a_re * self.x_re - self.a_im * self.x_im) + column
            self.x_im = self.a_re * self.x_im + self.a_im * self.x_re
            self.x_re = x_re
            terms = cell.c_re * self.x_re - cell.c_im * self.x_im
        else:
            self.x_re = self.a_re * self.x_re + column
            terms = cell.c_re * self.x_re
        total = np.zeros(len(u))
        for n in range(cell.n_modes):
            total = total + terms[:, n]
        y = total + cell.d * u
        return u, y, y > cell.theta

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


def recorded(population, first_step, steps, dt):
    """u, y, spikes of a population from PyNN's get_data, from its first step on."""
    segment = population.get_data().segments[0]
    # Index i of an analog signal is time i*dt, and kernel step s is stamped (s + 1)*dt.
    window = slice(first_step + 1, first_step + 1 + steps)
    u, y = (np.asarray(segment.filter(name=name)[0])[window] for name in ("u", "y"))
    raster = np.zeros((steps, population.size), bool)
    for train in segment.spiketrains:
        index = train.annotations["source_index"]
        at = np.rint(np.asarray(train) / dt).astype(int) - 1 - first_step
        raster[at[(at >= 0) & (at < steps)], index] = True
        assert (at >= 0).all(), "a spike before the first step"
    return u, y, raster


def spike_sources(raster, first_arrival, delay_steps, dt):
    """A SpikeSourceArray whose spikes of row k arrive in kernel step first_arrival + k."""
    times = [
        (np.flatnonzero(column) + 1 + first_arrival - delay_steps) * dt - 1e-4 * dt
        for column in raster.T
    ]
    return sim.Population(raster.shape[1], sim.SpikeSourceArray(spike_times=times))


def assert_identical(found, expected):
    for name, one, other in zip(("u", "y", "spikes"), found, expected, strict=True):
        assert one.shape == other.shape, name
        assert (one == other).all(), f"{name} differs first at {np.argwhere(one != other)[0]}"
