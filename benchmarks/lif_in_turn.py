"""LIF samples in NEST: one build, set to rest between samples, against a build for every two.

Compared: the time of ``export.pynn.run`` as it is, and with samples side by side, two a build, as a
script's own runs have them. A network of 2 x 64 neurons, 28 steps a sample, 64 spike sources of
which half spike; chunks of 50 samples, as ``verify`` runs them. Every spike must be the same.

Target: at least 5 x as fast.
"""

from __future__ import annotations

import argparse
from typing import Any

import _timing  # first, see there
import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population, Projection, Readout, Source
from export.pynn.backend import Backend
from export.pynn.built import run
from export.pynn.nest_lif import NestLif
from export.samples.recording import Recording, concatenate
from pynn_models.cells import LeakyCell, StateSpaceCell

TARGET = 5.0
STEPS, SIZE, CHUNK = 28, 64, 50


class SideBySide(NestLif):
    """Two samples a build."""

    def in_turn(self, network: Network, samples: int) -> Backend:
        return self


def lif_network() -> Network:
    """Two layers of random weights."""
    rng = np.random.default_rng(0)
    cell = LeakyCell(tau=np.full(SIZE, 9.0), theta=np.ones(SIZE), bias=np.full(SIZE, 0.0625))
    one = np.ones((10, 1))
    sums = StateSpaceCell(
        tau=np.inf * one, c_re=one, d=np.zeros(10), theta=np.full(10, np.inf), bias=np.zeros(10)
    )
    weights = [rng.integers(-64, 128, (SIZE, n)) / 256.0 for n in (SIZE, SIZE, 10)]
    names = ["input", "layer0", "layer1", "readout"]
    return Network(
        1.0, STEPS, Source("input", "spikes", SIZE), cells="lif",
        readout=Readout("readout", "mean"),
        populations=(
            Population("layer0", cell, 1), Population("layer1", cell, 2),
            Population("readout", sums, 3),
        ),
        projections=tuple(
            Projection(pre, post, w, 1)
            for pre, post, w in zip(names, names[1:], weights, strict=False)
        ),
    )


def in_chunks(network: Network, samples: NDArray[Any], backend: Backend) -> Recording:
    """All samples, in chunks."""
    chunks = range(0, len(samples), CHUNK)
    return concatenate(
        [run("nest", network, samples[k : k + CHUNK], backend=backend) for k in chunks]
    )


def main() -> None:
    """Print the two times, their ratio, and the spikes that differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=300)
    count = parser.parse_args().samples
    network = lif_network()
    samples = np.random.default_rng(1).integers(0, 2, (count, SIZE, STEPS))
    in_chunks(network, samples[:2], NestLif())  # imports
    found: dict[str, Recording] = {}

    def timed(name: str, backend: Backend) -> float:
        def once() -> None:
            found[name] = in_chunks(network, samples, backend)

        return _timing.stopwatch(once).wall

    turn, side = timed("in turn", NestLif()), timed("side by side", SideBySide())
    first, second = (found[name].spikes for name in ("in turn", "side by side"))
    differ = sum(int((first[name] != second[name]).sum()) for name in first)
    spikes = sum(int(s.sum()) for s in first.values())
    print(f"in turn {turn:.2f} s, side by side {side:.2f} s: {side / turn:.1f} x (target {TARGET})")
    print(f"{differ} of {spikes} spikes differ")


if __name__ == "__main__":
    main()
