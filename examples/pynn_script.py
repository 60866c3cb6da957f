"""A plain PyNN script around an exported network: python examples/pynn_script.py nest

It adds a population of its own, leaky integrate-and-fire neurons that count the last layer's
spikes, to the network of the shipped checkpoint, and shows it three digits.
"""

import sys
from pathlib import Path

import numpy as np

from export import lower
from export.pynn import build, setup_arguments, simulator
from export.samples import logits
from snn_ssm import load_checkpoint
from snn_ssm.tasks import read_samples

HERE = Path(__file__).parent


def main(backend: str) -> None:
    checkpoint = load_checkpoint(HERE / "checkpoints" / "smnist-binary-s4d")
    samples = read_samples(HERE / "data" / "mnist-test-200.npz").head(3)
    network = lower(checkpoint)

    sim = simulator(backend)
    sim.setup(**setup_arguments(backend, network))
    built = build(sim, network, samples.inputs)
    built.record()

    last = built.populations[network.layers[-1].name]
    mine = sim.Population(5, sim.IF_curr_exp(tau_m=20.0, tau_refrac=2.0), label="mine")
    sim.Projection(
        last,
        mine,
        sim.FixedProbabilityConnector(0.3, rng=sim.NumpyRNG(seed=1)),
        sim.StaticSynapse(weight=0.2, delay=network.timestep),
    )
    mine.record("spikes")

    sim.run(built.duration)
    recording = built.recording()
    print("classes", logits(network, samples.inputs, recording).argmax(axis=1).tolist())
    print("labels ", samples.labels.tolist())
    trains = mine.get_data("spikes").segments[0].spiketrains
    print("spikes of my own population:", [len(np.asarray(train)) for train in trains])
    sim.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
