"""Poisson sources of several rates; the rates change between runs, and a reset starts anew."""

import json

import pyNN.spiNNaker as sim

SOURCES, RATES, RUN = 50, (20.0, 80.0), 200.0

sim.setup(timestep=1.0)
source = sim.Population(SOURCES, sim.SpikeSourcePoisson(rate=RATES[0]), label="source", seed=9)
target = sim.Population(SOURCES, sim.IF_curr_exp(tau_syn_E=1.0), label="target")
sim.Projection(source, target, sim.OneToOneConnector(), sim.StaticSynapse(weight=40.0, delay=1.0))
for population in (source, target):
    population.record("spikes")
sim.run(RUN)
source.set(rate=RATES[1])
sim.run(RUN)
sim.reset()
sim.run(RUN)
segments = source.get_data("spikes").segments
counts = [
    [sum(a <= float(t) < b for train in segment.spiketrains for t in train)
     for a, b in ((0.0, RUN), (RUN, 2 * RUN))]
    for segment in segments
]  # fmt: skip
followed = sum(len(train) for train in target.get_data("spikes").segments[0].spiketrains)
sim.end()
print(json.dumps({"counts": counts, "followed": followed}))
