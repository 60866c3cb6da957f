"""Currents in steps: the more current, the more spikes; and none below the threshold's."""

import itertools
import json

import pyNN.spiNNaker as sim

STEPS = ((50.0, 0.4), (150.0, 0.8), (250.0, 1.2), (350.0, 1.6), (450.0, 0.0))

sim.setup(timestep=1.0)
population = sim.Population(4, sim.IF_curr_exp(tau_refrac=2.0), label="neurons")
times, amplitudes = (list(each) for each in zip(*STEPS, strict=True))
source = sim.StepCurrentSource(times=times, amplitudes=amplitudes)
source.inject_into(population)
population.record(["spikes", "v"])
sim.run(500.0)
data = population.get_data().segments[0]
sim.end()
spikes = [float(t) for t in data.spiketrains[0]]
edges = [0.0, *times, 500.0]
counts = [sum(a <= t < b for t in spikes) for a, b in itertools.pairwise(edges)]
print(json.dumps({"counts": counts, "rest": float(data.analogsignals[0].magnitude[40, 0])}))
