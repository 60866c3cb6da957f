"""Pairings of two spikes: what fires together, in this order, is wired together.

``python stdp_pairing.py [TIMESTEP]``; below 1 ms sPyNNaker puts neurons and synapses on cores of
their own.
"""

import json
import sys

import pyNN.spiNNaker as sim

TIMESTEP = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
LAGS = (-20.0, -10.0, -5.0, 5.0, 10.0, 20.0)
PAIRS, APART = 5, 100.0

sim.setup(timestep=TIMESTEP)
projections = []
for lag in LAGS:
    starts = [50.0 + APART * i for i in range(PAIRS)]
    before = sim.Population(1, sim.SpikeSourceArray(spike_times=starts))
    teacher = sim.Population(1, sim.SpikeSourceArray(spike_times=[t + lag - 2 for t in starts]))
    after = sim.Population(1, sim.IF_curr_exp(tau_syn_E=1.0))
    sim.Projection(
        teacher, after, sim.OneToOneConnector(), sim.StaticSynapse(weight=40.0, delay=1.0)
    )
    rule = sim.STDPMechanism(
        timing_dependence=sim.SpikePairRule(
            tau_plus=20.0, tau_minus=20.0, A_plus=0.05, A_minus=0.05
        ),
        weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=2.0),
        weight=1.0, delay=1.0,
    )  # fmt: skip
    projections.append(sim.Projection(before, after, sim.OneToOneConnector(), rule))
sim.run(50.0 + APART * PAIRS)
weights = [float(p.get("weight", "list", with_address=False)[0]) for p in projections]
sim.end()
print(json.dumps({"lags": LAGS, "weights": weights}))
