"""A liquid state machine: a frozen random recurrent network, and a linear readout of its spikes.

    python examples/liquid.py --data DIR            # DIR holds MNIST; minutes on one core

A liquid of leaky neurons, sparse and with a delay a synapse, reads images of 112 pixels; ridge
regression on its spike counts gives the readout. Its spikes are then those of NEST, and of
SpiNNaker's integers as far as their weights' 16 bits go. Source: Maass, Natschläger & Markram 2002,
*Real-time computing without stable states*.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population, Projection, Readout, Source
from export.description.readouts import POOLINGS
from export.fixed_point import simulation as integers
from export.pynn import built
from export.samples.readout import logits
from export.software import run
from pynn_models.cells import LeakyCell
from snn_ssm import TaskConfig
from snn_ssm.tasks import load_samples

NEURONS, STRIDE, STEPS, CLASSES = 400, 7, 112, 10
RIDGE = 10.0


def liquid(seed: int = 0) -> Network:
    """The network; its readout is still 0. Weights are multiples of 2^-10, sums of them exact."""
    rng = np.random.default_rng(seed)

    def weights(rows: int, scale: float) -> NDArray[np.float64]:
        return np.rint(rng.normal(scale=scale, size=(rows, NEURONS)) * 2**10) / 2**10

    cell = LeakyCell(
        tau=rng.uniform(5, 30, NEURONS), theta=np.ones(NEURONS), bias=np.zeros(NEURONS)
    )
    recurrent = Projection(
        "liquid", "liquid", weights(NEURONS, 0.3),
        delay=rng.integers(1, 11, (NEURONS, NEURONS)), mask=rng.random((NEURONS, NEURONS)) < 0.1,
    )
    silent = POOLINGS["mean"].accumulator(np.zeros(CLASSES))
    bits = 2.0 ** np.arange(8)[:, None] / 2**8  # of a pixel, the last is worth a half
    return Network(
        timestep=1.0, steps=STEPS, source=Source("input", "bits", 1, 8),
        populations=(Population("liquid", cell, 1), Population("readout", silent, 2)),
        projections=(
            Projection("input", "liquid", bits * weights(1, 3.0), 1),
            recurrent,
            Projection("liquid", "readout", np.zeros((NEURONS, CLASSES)), 1),
        ),
        readout=Readout("readout", "mean"), cells="lif",
    )


def fitted(network: Network, inputs: NDArray[np.generic], labels: NDArray[np.int64]) -> Network:
    """The network with the readout that ridge regression gives: rates -> one of K."""
    rates = run(network, inputs).spikes["liquid"].mean(axis=1)  # (B, N)
    wanted = np.eye(CLASSES)[labels] - 1 / CLASSES
    gram = rates.T @ rates + RIDGE / STEPS * np.eye(NEURONS)
    readout = np.linalg.solve(gram, rates.T @ wanted)
    *others, last = network.projections
    return replace(network, projections=(*others, replace(last, weights=readout)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--nest", type=int, default=200, help="test images that run in NEST")
    options = parser.parse_args()
    task = TaskConfig("smnist", STEPS, stride=STRIDE)
    train = load_samples(options.data, "train", task).head(options.train)
    test = load_samples(options.data, "test", task).head(options.test)
    network = fitted(liquid(), train.inputs, train.labels)
    found = run(network, test.inputs)
    answers = logits(network, test.inputs, found).argmax(-1)
    spikes = found.spikes["liquid"]
    print(f"{len(test)} images: {(answers == test.labels).mean():.2%} right, spike rate "
          f"{spikes.mean():.3f}, {network.projections[1].n_synapses} recurrent synapses")
    few = test.inputs[: options.nest]
    others = {"nest": built.run("nest", network, few), "integers": integers.run(network, few)}
    for name, other in others.items():
        differ = int((other.spikes["liquid"] != spikes[: len(few)]).sum())
        right = (logits(network, few, other).argmax(-1) == test.labels[: len(few)]).mean()
        print(f"{name}, {len(few)} images: {differ} of {spikes[: len(few)].sum()} spikes differ, "
              f"{right:.2%} right")


if __name__ == "__main__":
    main()
