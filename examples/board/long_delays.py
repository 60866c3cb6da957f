"""Delays beyond what a neuron core keeps, for which sPyNNaker adds cores of its own."""

import json

import pyNN.spiNNaker as sim

DELAYS = (1.0, 16.0, 40.0, 100.0, 144.0, 200.0)

sim.setup(timestep=1.0)
source = sim.Population(1, sim.SpikeSourceArray(spike_times=[5.0]), label="source")
target = sim.Population(len(DELAYS), sim.IF_curr_exp(tau_syn_E=1.0), label="target")
rows = [(0, i, 40.0, delay) for i, delay in enumerate(DELAYS)]
sim.Projection(source, target, sim.FromListConnector(rows), sim.StaticSynapse())
target.record("spikes")
sim.run(230.0)
trains = target.get_data("spikes").segments[0].spiketrains
times = [[float(t) for t in train] for train in trains]
sim.end()
print(json.dumps({"delays": DELAYS, "times": times}))
