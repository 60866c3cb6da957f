"""A stand-in for py-spinnaker2 that a test can run: its own step-by-step loop, in float32.

It knows what our script uses, by the names of the public package (0.8.0): ``snn.Population``,
``snn.Projection``, ``snn.Network`` and ``hardware.SpiNNaker2Chip``. The package itself is on no
index, and its boards' software is not public: what it does with a spike that arrives in a step is
our reading (pynn_models/spinnaker2/core.py), which nothing here can check.
"""

import sys
import types

import numpy as np


class Population:
    def __init__(self, size, neuron_model, params, name, record=()):
        self.size, self.model, self.params, self.name = size, neuron_model, params, name
        self.record = list(record)

    def get_spikes(self):
        assert "spikes" in self.record, self.name
        return self.spikes


class Projection:
    def __init__(self, pre, post, connections):
        self.pre, self.post = pre, post
        self.weights = np.zeros((2, pre.size, post.size), np.float32)  # positive, negative
        for i, j, weight, delay in connections:
            assert type(weight) is int and -128 <= weight <= 127 and delay == 0
            self.weights[int(weight < 0), i, j] += abs(weight)


class Network:
    def __init__(self, name):
        self.parts = []

    def add(self, *parts):
        self.parts += parts


def _step(population, state, arriving):
    """The next state (exc, inh, v), and who spikes."""
    f, p = np.float32, {k: np.asarray(v, np.float32) for k, v in population.params.items()
                        if k not in ("reset", "t_refrac", "v_reset")}
    exc, inh, v = state
    assert population.params["reset"] == "reset_to_v_reset"
    if population.model == "lif_curr_exp_no_delay":
        exc = (p["exc_decay"] * exc).astype(f) + arriving[0]
        inh = (p["inh_decay"] * inh).astype(f) + arriving[1]
        y = (p["alpha_decay"] * v).astype(f) + (exc - inh) + p["i_offset"]
    else:
        assert population.model == "lif_no_delay"
        y = (p["alpha_decay"] * v).astype(f) + (arriving[0] - arriving[1]) + p["i_offset"]
    fired = y > p["threshold"]
    return (exc, inh, np.where(fired, f(0), y)), fired


class Chip:
    def __init__(self, eth_ip=None):
        self.eth_ip = eth_ip

    def run(self, network, steps):
        """What spikes in a step arrives in the next one."""
        populations = [p for p in network.parts if isinstance(p, Population)]
        projections = [p for p in network.parts if isinstance(p, Projection)]
        state = {p: tuple(np.zeros(p.size, np.float32) for _ in range(3)) for p in populations}
        sent = {p: np.zeros(p.size, np.float32) for p in populations}
        times = {p: {i: [] for i in range(p.size)} for p in populations}
        for k in range(steps):
            arriving = {p: np.zeros((2, p.size), np.float32) for p in populations}
            for projection in projections:
                arriving[projection.post] += sent[projection.pre] @ projection.weights
            for p in populations:
                if p.model == "spike_list":
                    fired = np.array([k in p.params[i] for i in range(p.size)])
                else:
                    state[p], fired = _step(p, state[p], arriving[p])
                sent[p] = fired.astype(np.float32)
                for i in np.flatnonzero(fired):
                    times[p][int(i)].append(k)
        for p in populations:
            p.spikes = times[p]


def install(monkeypatch):
    """Make ``import spinnaker2`` find the stand-in."""
    package = types.ModuleType("spinnaker2")
    package.snn = types.SimpleNamespace(
        Population=Population, Projection=Projection, Network=Network
    )
    package.hardware = types.SimpleNamespace(SpiNNaker2Chip=Chip)
    monkeypatch.setitem(sys.modules, "spinnaker2", package)
