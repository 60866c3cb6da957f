"""What other programs do in a step, written down from their sources, and the nodes they export.

``MODELS[semantics, kind](rng, size)`` gives a node as the program's exporter writes it, and
``run(u)``, (B, L, H) -> spikes: the program's own equations in its own parameters.
"""

import itertools

import nir
import numpy as np


def _heaviside(v):
    return (v > 0).astype(float)


def _reached(v):
    return (v >= 0).astype(float)


def _over(u, state, step):
    """The spikes of ``step(u_k, *state) -> (spikes, *state)`` over a sequence."""
    found = []
    for k in range(u.shape[1]):
        spikes, *state = step(u[:, k], *state)
        found.append(spikes)
    return np.stack(found, axis=1)


def _zeros(u, count=1):
    return [np.zeros(u[:, 0].shape) for _ in range(count)]


# snntorch 1.0.0: _neurons/leaky.py, _neurons/synaptic.py; export_nir.py with dt = 1e-4
def _snntorch(reset):
    def make(rng, size):
        beta, threshold = rng.uniform(0.5, 0.98, size), rng.uniform(0.3, 1.0, size)
        tau = 1e-4 / (1 - beta)
        node = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * beta, v_threshold=threshold)

        def step(u, mem):
            fired = _heaviside(mem - threshold)
            if reset == "zero":
                mem = (1 - fired) * mem
            mem = beta * mem + u
            if reset == "subtract":
                mem = mem - fired * threshold
            return _heaviside(mem - threshold), mem

        return node, lambda u: _over(u, _zeros(u), step)

    return make


def _synaptic(rng, size):
    alpha, beta = rng.uniform(0.2, 0.5, size), rng.uniform(0.6, 0.95, size)
    threshold = rng.uniform(0.5, 1.5, size)
    tau_syn, tau_mem = 1e-4 / (1 - alpha), 1e-4 / (1 - beta)
    node = nir.CubaLIF(
        tau_syn=tau_syn, tau_mem=tau_mem, r=tau_mem / 1e-4, v_leak=0 * beta,
        v_threshold=threshold, w_in=tau_syn / 1e-4,
    )

    def step(u, syn, mem):
        fired = _heaviside(mem - threshold)
        syn = alpha * syn + u
        mem = beta * mem + syn - fired * threshold
        return _heaviside(mem - threshold), syn, mem

    return node, lambda u: _over(u, _zeros(u, 2), step)


# norse 1.1.0: functional/lif_box.py, lif.py, iaf.py; export_nir.py writes dt / tau_inv
def _norse_box(rng, size):
    tau_inv, v_th = rng.uniform(100, 400, size), rng.uniform(0.05, 0.3, size)
    node = nir.LIF(tau=1e-3 / tau_inv, r=np.ones(size), v_leak=np.zeros(size), v_threshold=v_th)

    def step(u, v):
        v = v + 1e-3 * tau_inv * (u + 0.0 - v)
        z = _heaviside(v - v_th)
        return z, (1 - z) * v + z * 0.0

    return node, lambda u: _over(u, _zeros(u), step)


def _norse_lif(rng, size):
    mem_inv, syn_inv = rng.uniform(100, 400, size), rng.uniform(200, 600, size)
    v_th = rng.uniform(0.1, 0.5, size)
    node = nir.CubaLIF(
        tau_mem=1e-3 / mem_inv, tau_syn=1e-3 / syn_inv, r=np.ones(size), v_leak=np.zeros(size),
        v_threshold=v_th,
    )

    def step(u, v, i):
        i = i + u
        v = v + 1e-3 * mem_inv * ((0.0 - v) + i)
        z = _heaviside(v - v_th)
        return z, (1 - z) * v + z * 0.0, i + -1e-3 * syn_inv * i

    return node, lambda u: _over(u, _zeros(u, 2), step)


def _norse_iaf(rng, size):
    v_th = rng.uniform(0.5, 1.5, size)

    def step(u, v):
        v = v + u
        z = _heaviside(v - v_th)
        return z, (1 - z) * v + z * 0.0

    return nir.IF(r=np.ones(size), v_threshold=v_th), lambda u: _over(u, _zeros(u), step)


# sinabs 3.1.3: layers/functional/lif.py, activation (MultiSpike, MembraneSubtract); nir.py
def _sinabs(norm_input):
    def make(rng, size):
        tau = rng.uniform(3, 25, size)
        threshold = rng.uniform(0.02, 0.1, size) * (1 if norm_input else 10)
        alpha = np.exp(-1 / tau)
        node = nir.LIF(tau=tau, r=np.ones(size), v_leak=np.zeros(size), v_threshold=threshold)

        def step(u, v):
            v = alpha * v + ((1 - alpha) * u if norm_input else u)
            spikes = (v > 0) * np.trunc(v / threshold)
            return spikes, v - spikes * threshold

        return node, lambda u: _over(u, _zeros(u), step)

    return make


def _sinabs_iaf(rng, size):
    threshold = rng.uniform(0.3, 1.0, size)

    def step(u, v):
        v = v + u
        spikes = (v > 0) * np.trunc(v / threshold)
        return spikes, v - spikes * threshold

    return nir.IF(r=np.ones(size), v_threshold=threshold), lambda u: _over(u, _zeros(u), step)


# spikingjelly 2.0.0: functional/neuron.py (hard reset); nir_exchange/to_nir.py with dt = 1e-4
def _spikingjelly(decay_input, v_reset):
    def make(rng, size):
        tau, threshold = rng.uniform(1.5, 6.0), rng.uniform(0.1, 0.4)
        node = nir.LIF(
            tau=np.full(size, tau * 1e-4), r=np.full(size, 1.0 if decay_input else tau),
            v_leak=np.full(size, v_reset), v_threshold=np.full(size, threshold),
            v_reset=np.full(size, v_reset),
        )

        def step(u, v):
            gained = (u - (v - v_reset)) / tau if decay_input else u - (v - v_reset) / tau
            v = v + gained
            spikes = _reached(v - threshold)
            return spikes, v_reset * spikes + (1 - spikes) * v

        return node, lambda u: _over(u, [np.full(u[:, 0].shape, v_reset)], step)

    return make


def _spikingjelly_if(rng, size):
    threshold = rng.uniform(0.3, 1.0)
    node = nir.IF(r=np.full(size, 1e4), v_threshold=np.full(size, threshold))

    def step(u, v):
        v = v + u
        spikes = _reached(v - threshold)
        return spikes, 0.0 * spikes + (1 - spikes) * v

    return node, lambda u: _over(u, _zeros(u), step)


def _spikingjelly_cuba(rng, size):
    c_decay, v_decay, threshold = rng.uniform(0.2, 0.8), rng.uniform(0.5, 0.9), 0.6
    tau_syn, tau_mem = 1e-4 / (1 - c_decay), 1e-4 / (1 - v_decay)
    node = nir.CubaLIF(
        tau_syn=np.full(size, tau_syn), tau_mem=np.full(size, tau_mem),
        r=np.full(size, tau_mem / 1e-4), v_leak=np.zeros(size),
        v_threshold=np.full(size, threshold), w_in=np.full(size, tau_syn / 1e-4),
    )

    def step(u, v, c):
        c = c * c_decay + u
        v = v * v_decay + c
        spikes = _reached(v - threshold)
        return spikes, 0.0 * spikes + (1 - spikes) * v, c

    return node, lambda u: _over(u, _zeros(u, 2), step)


# Our own convention: exact decay, what arrives is a pulse of area u dt, NIR's hard reset.
def _exact(rng, size):
    tau, r = rng.uniform(2e-3, 2e-2, size), rng.uniform(0.5, 2, size) * 10
    v_leak, threshold, v_reset = 0.05, rng.uniform(0.3, 1.0, size), -0.1
    node = nir.LIF(
        tau=tau, r=r, v_leak=np.full(size, v_leak), v_threshold=threshold,
        v_reset=np.full(size, v_reset),
    )

    def step(u, v):
        v = v_leak + (v - v_leak) * np.exp(-1e-3 / tau) + r * u * 1e-3 / tau
        spikes = _heaviside(v - threshold)
        return spikes, np.where(spikes > 0, v_reset, v)

    return node, lambda u: _over(u, [np.full(u[:, 0].shape, v_reset)], step)


MODELS = {
    ("snntorch", "Leaky"): _snntorch("subtract"),
    ("snntorch-zero", "Leaky"): _snntorch("zero"),
    ("snntorch-none", "Leaky"): _snntorch("none"),
    ("snntorch", "Synaptic"): _synaptic,
    ("norse", "LIFBoxCell"): _norse_box,
    ("norse", "LIFCell"): _norse_lif,
    ("norse", "IAFCell"): _norse_iaf,
    ("sinabs", "LIF"): _sinabs(norm_input=True),
    ("sinabs-sum", "LIF"): _sinabs(norm_input=False),
    ("sinabs", "IAF"): _sinabs_iaf,
    ("spikingjelly", "LIFNode"): _spikingjelly(True, 0.0),
    ("spikingjelly", "LIFNode of another v_reset"): _spikingjelly(False, -0.1),
    ("spikingjelly", "IFNode"): _spikingjelly_if,
    ("spikingjelly", "CUBALIFNode"): _spikingjelly_cuba,
    ("snn-ssm", "LIF"): _exact,
}


def of_two_layers(semantics, kind, seed=0, inputs=8, hidden=12, outputs=5):
    """A graph of two layers of such neurons, and ``run(samples)`` (B, C, L) -> the spikes of each.

    Weights are dyadic, so that the order of sums does not matter.
    """
    rng = np.random.default_rng(seed)
    first = rng.integers(-(2**9), 2**10, (hidden, inputs)) / 2.0**11
    second = rng.integers(-(2**9), 2**10, (outputs, hidden)) / 2.0**11
    bias = rng.integers(-(2**6), 2**7, hidden) / 2.0**11
    one, run_one = MODELS[semantics, kind](rng, hidden)
    two, run_two = MODELS[semantics, kind](rng, outputs)
    nodes = {
        "input": nir.Input(np.array([inputs])), "0": nir.Affine(first, bias), "1": one,
        "2": nir.Linear(second), "3": two, "output": nir.Output(np.array([outputs])),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)))

    def run(samples):
        u = samples.transpose(0, 2, 1) @ first.T + bias
        spikes = run_one(u)
        return [spikes, run_two(spikes @ second.T)]

    return graph, run
