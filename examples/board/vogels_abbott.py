"""The Vogels-Abbott benchmark: conductance-based neurons, excitation and inhibition.

Vogels and Abbott, Journal of Neuroscience 25 (2005) 10786; benchmark 1 of Brette and others,
Journal of Computational Neuroscience 23 (2007) 349, here with 500 of its 4,000 neurons, as many
inputs to each, and some noise that keeps so few from falling silent.
"""

import json

import numpy as np
import pyNN.spiNNaker as sim

N, RUN = 500, 300.0
EXCITATORY = N * 4 // 5
P = 80 / N

sim.setup(timestep=1.0)
cell = sim.IF_cond_exp(
    tau_m=20.0, cm=0.2, v_rest=-60.0, v_thresh=-50.0, v_reset=-60.0, e_rev_E=0.0, e_rev_I=-80.0,
    tau_syn_E=5.0, tau_syn_I=10.0, tau_refrac=5.0,
)  # fmt: skip
rng = np.random.default_rng(5)
excitatory = sim.Population(EXCITATORY, cell, label="excitatory")
inhibitory = sim.Population(N - EXCITATORY, cell, label="inhibitory")
for population in (excitatory, inhibitory):
    population.initialize(v=rng.uniform(-60.0, -50.0, population.size).tolist())
    kick = sim.Population(20, sim.SpikeSourcePoisson(rate=100.0), seed=6)
    random = sim.FixedProbabilityConnector(0.1)
    sim.Projection(kick, population, random, sim.StaticSynapse(weight=0.01, delay=1.0))
for target in (excitatory, inhibitory):
    random = sim.FixedProbabilityConnector(P)
    sim.Projection(excitatory, target, random, sim.StaticSynapse(weight=0.004, delay=1.0))
    sim.Projection(
        inhibitory, target, random, sim.StaticSynapse(weight=0.051, delay=1.0),
        receptor_type="inhibitory",
    )  # fmt: skip
excitatory.record("spikes")
sim.run(RUN)
times = np.concatenate(
    [np.asarray(t) for t in excitatory.get_data("spikes").segments[0].spiketrains]
)
sim.end()
late = times[times >= RUN - 100]
print(json.dumps({"rate_at_the_end": len(late) / EXCITATORY * 10, "spikes": len(times)}))
