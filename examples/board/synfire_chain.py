"""A synfire chain: pools of neurons, each of which makes the next one fire, round in a ring."""

import json

import pyNN.spiNNaker as sim

POOLS, SIZE, DELAY, RUN = 8, 25, 5.0, 200.0

sim.setup(timestep=1.0)
cell = sim.IF_curr_exp(tau_syn_E=1.0, tau_refrac=3.0)
pools = [sim.Population(SIZE, cell, label=f"pool {i}") for i in range(POOLS)]
kick = sim.Population(1, sim.SpikeSourceArray(spike_times=[10.0]), label="kick")
strong = sim.StaticSynapse(weight=20.0, delay=1.0)
sim.Projection(kick, pools[0], sim.AllToAllConnector(), strong)
for here, following in zip(pools, [*pools[1:], pools[0]], strict=True):
    synapse = sim.StaticSynapse(weight=1.5, delay=DELAY)
    sim.Projection(here, following, sim.AllToAllConnector(), synapse)
for pool in pools:
    pool.record("spikes")
sim.run(RUN)
times = [
    sorted({float(t) for train in pool.get_data("spikes").segments[0].spiketrains for t in train})
    for pool in pools
]
sim.end()
print(json.dumps({"times": times}))
