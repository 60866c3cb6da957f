"""SpiNNaker 2's own core by its definition: a scalar of NumPy's float32 at a time.

From the network's float64 weights, step by step, all populations in a step: nothing is shared with
the plan or the model. Cells, gates, graded sums, resets, histories, lags and loops.
"""

import math

import numpy as np

from export.samples.inputs import encode

F = np.float32


def equations(network, samples):
    """Spikes and membranes (B, L, H) by population, float32 of the core's units."""
    gated = any(p.branches is not None for p in network.populations) or any(
        p.graded for p in network.projections
    )
    neurons = {p.name: _Population(network, p, gated) for p in network.populations}
    encoded = encode(network, samples).astype(int)
    spikes = {p.name: np.zeros((len(samples), network.steps, p.size), bool)
              for p in network.populations}
    membranes = {name: np.zeros(s.shape, F) for name, s in spikes.items()}
    for b in range(len(samples)):
        for one in neurons.values():
            one.rest()
        sent = {network.source.name: encoded[b]} | {n: s[b] for n, s in spikes.items()}
        real = {n: m[b] for n, m in membranes.items()}
        for k in range(network.steps):
            for name, one in neurons.items():
                for h in range(one.size):
                    y, fired = one.step(sent, real, k, h)
                    membranes[name][b, k, h], spikes[name][b, k, h] = y, fired
    return spikes, membranes


class _Population:
    def __init__(self, network, population, gated):
        self.network, self.cell, self.size = network, population.state_space, population.size
        cell = self.cell
        omega = 0 if cell.omega is None else cell.omega
        decay, angle = np.exp(-network.timestep / cell.tau), omega * network.timestep
        self.a = decay * np.cos(angle) + 1j * decay * np.sin(angle)
        self.receptors = [
            _Receptor(network, network.incoming(population.name, name), population.size)
            for name in population.receptors
        ]
        scale = self.receptors[0].scale
        self.unit = np.ones(self.size) if gated else scale
        if not gated:
            self.receptors[0].scale = np.ones(self.size)

    def rest(self):
        self.x = np.zeros((self.size, self.cell.n_modes, 2), F)
        self.fired, self.resting = np.zeros(self.size, bool), np.zeros(self.size, int)
        self.above = [[] for _ in range(self.size)]

    def step(self, sent, real, k, h):
        cell = self.cell
        total = [receptor.total(sent, real, k, h) for receptor in self.receptors]
        v = F(total[0] + F(cell.bias[h] / self.unit[h]))
        for n in range(0 if cell.branches is None else cell.branches.count):
            v = F(v + _branch(cell.branches, n, h, total[1 + 2 * n], total[2 + 2 * n]))
        y = F(F(cell.d[h]) * v)
        for n in range(cell.n_modes):
            self.x[h, n] = self.mode(h, n, v)
            y = F(y + F(F(cell.c_re[h, n]) * self.x[h, n, 0]))
            if cell.is_complex:
                y = F(y - F(F(cell.c_im[h, n]) * self.x[h, n, 1]))
        theta = F(cell.theta[h] / self.unit[h])
        raised = F(0)
        if cell.history is not None:
            for j, was in enumerate(reversed(self.above[h][-cell.history.steps :])):
                if was:
                    raised = F(raised + F(cell.history.a[h, j] / self.unit[h]))
        fired = self.resting[h] == 0 and y > F(theta + raised)
        self.above[h].append(y > theta)
        refractory = 0 if cell.reset is None else cell.reset.refractory
        self.resting[h] = refractory if fired else max(self.resting[h] - 1, 0)
        self.fired[h] = fired
        return y, fired

    def mode(self, h, n, v):
        reset, (re, im) = self.cell.reset, self.x[h, n]
        if reset is not None and self.fired[h]:
            if reset.is_hard:
                re = im = F(0)
            else:
                re = F(re - F(reset.r_re[h, n] / self.unit[h]))
                im = F(im - F(reset.r_im[h, n] / self.unit[h])) if self.cell.is_complex else im
        ar, ai = F(self.a[h, n].real), F(self.a[h, n].imag)
        new = F(ar * re)
        if self.cell.is_complex:
            new = F(new - F(ai * im))
            im = F(F(ar * im) + F(ai * re))
        if reset is not None and reset.is_hard and self.resting[h] > 0:
            return F(0), F(0)
        return F(new + v), im


class _Receptor:
    """``scale``; of spikes (source, stored weights, lags); of values (source, scale, stored)."""

    def __init__(self, network, onto, size):
        spikes, graded = [q for q in onto if not q.graded], [q for q in onto if q.graded]
        largest = np.zeros(size)
        for q in spikes:
            largest = np.maximum(largest, np.abs(q.weights).max(axis=0))
        self.scale = np.where(largest > 0, largest, 127) / 127
        self.spikes = [
            (q.source, np.rint(q.weights / self.scale),
             np.broadcast_to(q.delay, q.weights.shape) - network.lead(q))
            for q in spikes
        ]
        self.graded = []
        for q in graded:
            top = np.abs(q.weights).max(axis=0)
            scale = np.where(top > 0, top, 127) / 127
            self.graded.append((q.source, scale, np.rint(q.weights / scale)))

    def total(self, sent, real, k, h):
        found = 0
        for source, stored, lags in self.spikes:
            for i in np.flatnonzero(stored[:, h]):
                late = k - lags[i, h]
                found += int(stored[i, h]) * int(sent[source][late, i] if late >= 0 else 0)
        total = F(F(self.scale[h]) * F(found))
        for source, scale, stored in self.graded:
            acc = F(0)
            for i in np.flatnonzero(stored[:, h]):
                acc = F(acc + F(F(stored[i, h]) * real[source][k, i]))
            total = F(total + F(F(scale[h]) * acc))
        return total


def _branch(branches, n, h, value, gate):
    v, g = F(value + F(branches.value_bias[h, n])), F(gate + F(branches.gate_bias[h, n]))
    if branches.kind == "glu":
        return F(v * _half(64, lambda x: 1 / (1 + math.exp(-x)), g))
    z = F(F(v * g) + F(branches.shift[h, n]))
    left = _half(128, lambda x: math.erfc(-x * math.sqrt(0.5)) / 2, z)
    return F(F(z * left) * F(branches.gain[h, n]))


def _half(per_unit, exact, x):
    """The function of a branch by its table's definition."""
    t, left = F(F(abs(x)) * F(per_unit)), F(0)
    if t < 1024:
        i = int(t)
        here, there = F(exact(-i / per_unit)), F(exact(-(i + 1) / per_unit))
        left = F(here + F(F(t - F(i)) * F(there - here)))
    return left if x < 0 else F(F(1) - left)
