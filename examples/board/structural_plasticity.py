"""Structural plasticity: synapses form and vanish while a network runs."""

import json

import pyNN.spiNNaker as sim

SIZE, RUN = 20, 500.0

sim.setup(timestep=1.0)
source = sim.Population(SIZE, sim.SpikeSourcePoisson(rate=50.0), label="source", seed=10)
target = sim.Population(SIZE, sim.IF_curr_exp(), label="target", seed=11)
plastic = sim.StructuralMechanismStatic(
    partner_selection=sim.LastNeuronSelection(spike_buffer_size=10),
    formation=sim.DistanceDependentFormation(
        grid=(5, 4), sigma_form_forward=1.0, p_form_forward=1.0
    ),
    elimination=sim.RandomByWeightElimination(
        threshold=0.2, prob_elim_depressed=0.5, prob_elim_potentiated=0.0
    ),
    f_rew=1000, initial_weight=2.0, initial_delay=3, s_max=8, seed=12, weight=0.0, delay=1.0,
)  # fmt: skip
projection = sim.Projection(source, target, sim.FromListConnector([]), plastic)
target.record("spikes")
sim.run(RUN)
synapses = [list(map(float, row)) for row in projection.get(["weight", "delay"], "list")]
spikes = sum(len(train) for train in target.get_data("spikes").segments[0].spiketrains)
sim.end()
print(json.dumps({"synapses": synapses, "spikes": spikes}))
