"""Neuromodulation: a reward strengthens the synapses that were active just before it."""

import json

import pyNN.spiNNaker as sim

sim.setup(timestep=1.0)
projections = []
for rewards in ([], [60.0, 160.0, 260.0]):
    before = sim.Population(1, sim.SpikeSourceArray(spike_times=[50.0, 150.0, 250.0]))
    teacher = sim.Population(1, sim.SpikeSourceArray(spike_times=[52.0, 152.0, 252.0]))
    reward = sim.Population(1, sim.SpikeSourceArray(spike_times=rewards))
    after = sim.Population(1, sim.IF_curr_exp(tau_syn_E=1.0))
    sim.Projection(teacher, after, sim.OneToOneConnector(), sim.StaticSynapse(40.0, 1.0))
    rule = sim.STDPMechanism(
        timing_dependence=sim.SpikePairRule(
            tau_plus=20.0, tau_minus=20.0, A_plus=1.0, A_minus=1.0
        ),
        weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=10.0),
        weight=2.0, delay=1.0,
    )  # fmt: skip
    projections.append(sim.Projection(before, after, sim.OneToOneConnector(), rule))
    sim.Projection(
        reward, after, sim.OneToOneConnector(), sim.extra_models.Neuromodulation(
            weight=0.05, tau_c=200.0, tau_d=20.0, w_max=10.0
        ),
        receptor_type="reward",
    )  # fmt: skip
sim.run(350.0)
weights = [float(p.get("weight", "list", with_address=False)[0]) for p in projections]
sim.end()
print(json.dumps({"without_reward": weights[0], "with_reward": weights[1]}))
