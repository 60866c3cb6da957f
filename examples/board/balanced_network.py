"""A balanced random network: excitation and inhibition cancel; irregular firing at low rates."""

import json

import numpy as np
import pyNN.spiNNaker as sim

EXCITATORY, INHIBITORY, P, RUN = 200, 50, 0.1, 300.0
G = 6.0  # how much stronger inhibition is

sim.setup(timestep=1.0)
cell = sim.IF_curr_exp(tau_m=20.0, tau_refrac=2.0, tau_syn_E=0.5, tau_syn_I=0.5)
excitatory = sim.Population(EXCITATORY, cell, label="excitatory", seed=1)
inhibitory = sim.Population(INHIBITORY, cell, label="inhibitory", seed=2)
weight = 1.0
for target in (excitatory, inhibitory):
    drive = sim.Population(target.size, sim.SpikeSourcePoisson(rate=1200.0), label="drive", seed=3)
    sim.Projection(drive, target, sim.OneToOneConnector(), sim.StaticSynapse(weight, 1.0))
    random = sim.FixedProbabilityConnector(P)
    sim.Projection(excitatory, target, random, sim.StaticSynapse(weight, 2.0))
    sim.Projection(
        inhibitory, target, random, sim.StaticSynapse(G * weight, 2.0), receptor_type="inhibitory"
    )
excitatory.record("spikes")
sim.run(RUN)
trains = [np.asarray(t) for t in excitatory.get_data("spikes").segments[0].spiketrains]
sim.end()
intervals = [np.diff(train) for train in trains if len(train) > 3]
print(
    json.dumps(
        {
            "rate": sum(map(len, trains)) / EXCITATORY / RUN * 1000,
            "irregularity": float(np.mean([each.std() / each.mean() for each in intervals])),
        }
    )
)
