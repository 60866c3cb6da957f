"""A simulator of explicit delay lines in plain Python, to compare the software backend with.

It knows the cells' equations, weights, receptors, delays and each population's first step, and
nothing else: spikes and graded membranes travel through queues, step by step, as in NEST or on a
board. Numbers are Python's, modes and branches ascending.
"""

import math

import numpy as np

from export.description.network import INPUT_RECEPTOR, gate_receptor, value_receptor
from pynn_models.cells import EgruCell, LeakyCell


class StateSpaceNeuron:
    """One neuron of a state-space cell, with its branches."""

    def __init__(self, cell, h, dt):
        self.modes = []
        for n in range(cell.n_modes):
            decay = math.exp(-dt / float(cell.tau[h, n]))
            angle = float(cell.omega[h, n]) * dt if cell.is_complex else 0.0
            c_im = float(cell.c_im[h, n]) if cell.is_complex else 0.0
            a = (decay * math.cos(angle), decay * math.sin(angle))
            self.modes.append((a, float(cell.c_re[h, n]), c_im))
        self.is_complex = cell.is_complex
        self.reset_part, self.a = cell.reset, []
        self.r = [(0.0, 0.0)] * cell.n_modes
        if cell.reset is not None and not cell.reset.is_hard:
            r_im = cell.reset.r_im if cell.is_complex else np.zeros(cell.tau.shape)
            self.r = list(zip(cell.reset.r_re[h].tolist(), r_im[h].tolist(), strict=True))
        if cell.history is not None:
            self.a = cell.history.a[h].tolist()
        self.thresholds = [float(cell.theta[h])]
        if cell.multiplicity is not None:
            self.thresholds += cell.multiplicity.further[h].tolist()
        self.d, self.theta, self.bias = (float(v[h]) for v in (cell.d, cell.theta, cell.bias))
        self.gates = []
        if cell.branches is not None:
            b = cell.branches
            constants = (b.value_bias, b.gate_bias, b.shift, b.gain)
            self.gates = [
                (b.kind, *(float(v[h, p]) for v in constants)) for p in range(b.count)
            ]
        self.reset()

    def reset(self):
        self.state = [(0.0, 0.0)] * len(self.modes)
        self.spikes, self.rest, self.before = 0, 0, [False] * len(self.a)

    def step(self, arriving):
        """``arriving``: receptor -> number; returns the membrane and how often it spikes."""
        u = arriving.get(INPUT_RECEPTOR, 0.0) + self.bias
        for p, (kind, value_bias, gate_bias, shift, gain) in enumerate(self.gates):
            value = arriving.get(value_receptor(p), 0.0) + value_bias
            gate = arriving.get(gate_receptor(p), 0.0) + gate_bias
            if kind == "glu":
                u += value / (1.0 + math.exp(-gate))
            else:
                z = value * gate + shift
                u += (0.5 * z) * (1.0 + math.erf(z * math.sqrt(0.5))) * gain
        total, state = 0.0, []
        hard = self.reset_part is not None and self.reset_part.is_hard
        for ((ar, ai), cr, ci), (xr, xi), (rr, ri) in zip(
            self.modes, self.state, self.r, strict=True
        ):
            xr, xi = xr - rr * self.spikes, xi - ri * self.spikes
            if hard and self.spikes:
                xr, xi = 0.0, 0.0
            if hard and self.rest:
                xr, xi = 0.0, 0.0
            elif self.is_complex:
                xr, xi = (ar * xr - ai * xi) + u, ar * xi + ai * xr
            else:
                xr = ar * xr + u
            total += cr * xr - ci * xi
            state.append((xr, xi))
        self.state = state
        y = total + self.d * u
        return y, self.fire(y)

    def fire(self, y):
        """The thresholds below y: none in its rest; each is raised by the last pre-spikes."""
        raised = 0.0
        for spiked, a in zip(self.before, self.a, strict=True):
            raised = raised + a if spiked else raised
        found = sum(y > theta + raised for theta in self.thresholds)
        found = 0 if self.rest else found
        self.before = [y > self.thresholds[0], *self.before][: len(self.a)]
        refractory = 0 if self.reset_part is None else self.reset_part.refractory
        self.rest = refractory if found else max(self.rest - 1, 0)
        self.spikes = found
        return found


class LeakyNeuron:
    """One neuron of a leaky cell: it is reset to 0 by its spike."""

    def __init__(self, cell, h, dt):
        self.decay = math.exp(-dt / float(cell.tau[h]))
        self.theta, self.bias = float(cell.theta[h]), float(cell.bias[h])
        self.reset()

    def reset(self):
        self.v = 0.0

    def step(self, arriving):
        """As of :class:`StateSpaceNeuron`; the membrane is that before the reset."""
        v = self.decay * self.v + (arriving.get(INPUT_RECEPTOR, 0.0) + self.bias)
        self.v = 0.0 if v > self.theta else v
        return v, v > self.theta


class GatedUnit:
    """One event-based gated unit."""

    def __init__(self, cell, h, dt):
        self.theta = float(cell.theta[h])
        self.biases = {
            INPUT_RECEPTOR: float(cell.bias[h]), "update": float(cell.update_bias[h]),
            "reset": float(cell.reset_bias[h]), "recurrent": float(cell.recurrent_bias[h]),
        }
        self.reset()

    def reset(self):
        self.h = 0.0

    def step(self, arriving):
        """As of :class:`StateSpaceNeuron`; the membrane is that before the reset."""
        u, z, r, q = (arriving.get(name, 0.0) + bias for name, bias in self.biases.items())
        z, r = 1.0 / (1.0 + math.exp(-z)), 1.0 / (1.0 + math.exp(-r))
        v = z * self.h + (1.0 - z) * math.tanh(u + r * q)
        self.h = v - self.theta if v > self.theta else v
        return v, v > self.theta


NEURONS = {LeakyCell: LeakyNeuron, EgruCell: GatedUnit}


class Sums:
    """What the differences that reached each receptor of each neuron have come to."""

    def __init__(self):
        self.held = {}

    def with_them(self, name, h, arriving):
        """Receptor -> number, with the sums of differences that arrived until now."""
        found = {r: v for r, v in arriving.items() if isinstance(r, str)}
        of = {what: [(r[0], v) for r, v in arriving.items() if r[1:] == (what,)]
              for what in ("differences", "graded")}
        for receptor, value in of["differences"]:
            key = name, h, receptor
            self.held[key] = self.held.get(key, 0.0) + value
        for (where, neuron, receptor), value in self.held.items():
            if (where, neuron) == (name, h):
                found[receptor] = found.get(receptor, 0.0) + value
        for receptor, value in of["graded"]:
            found[receptor] = found.get(receptor, 0.0) + value
        return found

    def forget(self, name, h):
        self.held = {key: v for key, v in self.held.items() if key[:2] != (name, h)}


def _emitted(source, column):
    """What the input's sources emit for the channels' values of one step."""
    values = [int(v) for v in column]
    if source.encoding == "bits":
        return [v >> j & 1 for v in values for j in range(source.bits)]
    if source.encoding == "token":
        return [int(i == values[0]) for i in range(source.symbols)]
    return values


def synapses_of(projection):
    """(i, j, weight, delay) of every synapse, read off the matrices themselves."""
    delays = np.broadcast_to(projection.delay, projection.weights.shape)
    return [
        (i, j, float(projection.weights[i, j]), int(delays[i, j]))
        for i, j in np.ndindex(projection.weights.shape)
        if projection.mask is None or projection.mask[i, j]
    ]


def period_of(network):
    """Steps from a sample's first to the next one's: its length, and the longest lag."""
    latency = {network.source.name: 0} | {p.name: p.latency for p in network.populations}
    lags = [
        delay - (latency[p.target] - latency[p.source])
        for p in network.projections for *_, delay in synapses_of(p)
    ]
    return network.steps + max(lags, default=0)


def simulate(network, samples):
    """Spikes and membranes by population and simulator step: (steps in all, H), not shifted.

    A population that sends differences sends by how many more its spikes are than in the step
    before, to receptors that add these up from a sample's first step on.

    Samples follow each other after as many steps of silence as the longest lag: no neuron takes in
    or sends anything then. Population p starts at step latency(p); until then it throws its input
    away.
    """
    length, period = network.steps, period_of(network)
    count = len(samples) * period
    total = max(p.latency for p in network.populations) + count
    neurons = {
        p.name: [
            NEURONS.get(type(p.cell), StateSpaceNeuron)(p.cell, h, network.timestep)
            for h in range(p.size)
        ]
        for p in network.populations
    }
    arriving = {p.name: [[{} for _ in range(p.size)] for _ in range(total)]
                for p in network.populations}
    spikes = {p.name: np.zeros((total, p.size), int) for p in network.populations}
    membranes = {p.name: np.zeros((total, p.size)) for p in network.populations}

    differing, sums = {p.name for p in network.populations if p.differences}, Sums()
    lists = {p: synapses_of(p) for p in network.projections}

    def emit(name, step, fired, graded):
        for projection in network.projections:
            if projection.source != name:
                continue
            values = graded if projection.graded else fired
            for i, j, weight, delay in lists[projection]:
                if values[i] and step + delay < total:
                    line = arriving[projection.target][step + delay][j]
                    key = projection.receptor
                    key = (key, "graded") if projection.graded else key
                    key = (key, "differences") if name in differing else key
                    line[key] = line.get(key, 0.0) + weight * values[i]

    for step in range(total):
        if step < count and step % period < length:
            column = samples[step // period, :, step % period]
            emit(network.source.name, step, _emitted(network.source, column), ())
        for population in network.populations:
            name, k = population.name, step - population.latency
            if k < 0 or k % period >= length:
                continue
            for h, neuron in enumerate(neurons[name]):
                if k % period == 0:
                    neuron.reset()
                    sums.forget(name, h)
                found = neuron.step(sums.with_them(name, h, arriving[name][step][h]))
                membranes[name][step, h], spikes[name][step, h] = found
            fired = spikes[name][step]
            if name in differing and k % period > 0:
                fired = fired - spikes[name][step - 1]
            graded = membranes[name][step]
            if isinstance(population.cell, EgruCell):
                graded = graded * spikes[name][step]
            emit(name, step, fired.tolist(), graded)
    return spikes, membranes


def assert_same_bits(network, samples, recording):
    """Every spike and every membrane of a recording is that of :func:`simulate`."""
    spikes, membranes = simulate(network, samples)
    assert set(recording.spikes) == {p.name for p in network.layers}
    assert set(recording.membranes) == {p.name for p in network.populations}
    for population in network.populations:
        period = period_of(network)
        window = slice(population.latency, population.latency + len(samples) * period)
        shape = (len(samples), network.steps, population.size)

        def cut(rows):
            return rows[window].reshape(len(samples), period, -1)[:, : network.steps]  # noqa: B023

        y = cut(membranes[population.name])
        found = recording.membranes[population.name]
        assert found.shape == shape
        assert (found == y).all(), population.name
        if population.name in recording.spikes:
            assert (recording.spikes[population.name] == cut(spikes[population.name])).all()
