"""The software backend in images a second, against a straightforward NumPy implementation.

Compared: ``export.software.run`` of a checkpoint on the shipped images, and the same recurrence in
NumPy, a step of all images and layers at a time. Their spikes must be the same. The compilation of
the backend's loops is excluded and printed apart; it is done anew here, in an empty cache.

Target: >= 100 images/s on 2 cores, by the wall clock. On a machine with other work to do look at
the images a second of processor time: two idle cores give up to twice that.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import _timing  # first, see there
import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.lowering.network import lower
from export.samples.inputs import encode
from pynn_models.cells import propagator
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.tasks import read_samples

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TARGET = 100.0


class NumpyLayer:
    """The modes of one population, for all samples: x (B, H, N)."""

    def __init__(self, network: Network, name: str, samples: int) -> None:
        cell = network.population(name).state_space
        a_re, a_im = propagator(cell.tau, cell.omega, network.timestep)
        self.abar = a_re if cell.omega is None else a_re + 1j * a_im  # (H, N)
        self.c = cell.c_re if cell.c_im is None else cell.c_re + 1j * cell.c_im
        self.d, self.theta = cell.d, cell.theta
        self.x = np.zeros((samples, *self.abar.shape), self.abar.dtype)

    def step(self, u: NDArray[Any]) -> NDArray[np.bool_]:
        """One step with the input u (B, H): the spikes."""
        self.x = self.abar * self.x + u[..., None]
        y = (self.c * self.x).real.sum(axis=-1) + self.d * u
        return y > self.theta


def run_numpy(network: Network, samples: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
    """Every layer's spikes, (B, L, H), step by step."""
    encoded = encode(network, samples).astype(np.float64)  # (B, L, sources)
    names = [population.name for population in network.layers]
    layers = {name: NumpyLayer(network, name, len(samples)) for name in names}
    incoming = {name: list(network.incoming(name)) for name in names}
    spikes: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in names}
    for k in range(network.steps):
        emitted = {network.source.name: encoded[:, k]}
        for name, layer in layers.items():
            u = network.population(name).cell.bias  # (H,), then (B, H)
            for projection in incoming[name]:
                u = u + emitted[projection.source] @ projection.weights
            fired = layer.step(u)
            emitted[name] = fired.astype(np.float64)
            spikes[name].append(fired)
    return {name: np.stack(steps, axis=1) for name, steps in spikes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shipped = EXAMPLES / "checkpoints" / "smnist-binary-s4d"
    parser.add_argument("checkpoint", type=Path, nargs="?", default=shipped)
    parser.add_argument("--peer-images", type=int, default=50, help="images for NumPy, in batches")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    samples = read_samples(EXAMPLES / "data" / "mnist-test-200.npz")
    network = lower(load_checkpoint(options.checkpoint))
    print(_timing.machine())
    print(f"{len(samples)} images, {len(network.layers)} layers x {network.layers[0].size} channels"
          f" x {network.layers[0].state_space.n_modes} modes, {network.steps} steps")

    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache  # read when numba is imported, here
        from export.software import simulation as software

        compilation = _timing.stopwatch(lambda: software.run(network, samples.inputs[:1]))
    print(f"  first image, with compilation: wall {compilation.wall:.1f} s, "
          f"cpu {compilation.cpu:.1f} s")

    few = samples.inputs[: options.peer_images]
    plain, ours = run_numpy(network, few), software.run(network, few).spikes
    right = all(np.array_equal(plain[name], ours[name]) for name in plain)
    total = sum(spikes.size for spikes in plain.values())
    count = sum(int(spikes.sum()) for spikes in plain.values())
    _timing.require(right, f"{count} spikes of {len(few)} images, {count / total:.0%} of the steps")

    project, peer = _timing.interleave(
        {
            f"project, {len(samples)} images": lambda: _timing.stopwatch(
                lambda: software.run(network, samples.inputs)
            ),
            f"NumPy, {len(few)} images": lambda: _timing.stopwatch(
                lambda: run_numpy(network, few)
            ),
        },
        options.repetitions,
    )
    per_cpu = len(samples) / min(project.cpu), len(few) / min(peer.cpu)
    per_wall = len(samples) / min(project.wall), len(few) / min(peer.wall)
    for name, cpu, wall in zip(("project", "NumPy"), per_cpu, per_wall, strict=True):
        print(f"  {name:8} {wall:7.1f} images/s by the wall clock, "
              f"{cpu:7.1f} images a second of processor time")
    print(f"  ratio by processor time {per_cpu[0] / per_cpu[1]:.1f}, "
          f"by the wall clock {per_wall[0] / per_wall[1]:.1f}")
    _timing.verdict("images/s", per_wall[0], TARGET, "/s")


if __name__ == "__main__":
    main()
