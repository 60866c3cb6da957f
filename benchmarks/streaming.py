"""A signal step by step, against the time that a step of it lasts.

For each signal: milliseconds a step (mean and 99th percentile) of ``Session.step``, of the same in
blocks of 64 steps, and in NEST's slices where it streams, each over the step's own time: below 1 is
faster than real time. The answers are first compared with those of the run over the whole sample.

- images: 784 steps of 1 ms, the shipped networks;
- heart: 360 Hz, of which a step is three samples, a network of the task's own configuration with
  random weights (what a step costs does not depend on them);
- sound: 16 kHz through the cochlea, 32 bands, a step of 10 ms, the front end's time included.

Target: a step of each in no more than its own time, by processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import _timing  # first, see there
import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.lowering.network import lower
from export.software.simulation import run
from export.streaming import NestSession, Session
from snn_ssm.checkpoint import Checkpoint, load_checkpoint
from snn_ssm.config import Config, ModelConfig, TaskConfig
from snn_ssm.shipped import checkpoint
from snn_ssm.tasks import get_task, read_samples
from snn_ssm.tasks.encoders import ENCODERS

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
HOP, BANDS, RATE = 160, 32, 16_000
Row = tuple[str, float, NDArray[np.float64]]


def random_network(config: Config) -> Network:
    """Lowered from a model as it is before training."""
    from snn_ssm.model.network import build_network
    from snn_ssm.model.restore import to_checkpoint

    found: Checkpoint = to_checkpoint(build_network(config.model, 0).eval(), config)
    return lower(found)


def each(calls: list[Callable[[], Any]]) -> NDArray[np.float64]:
    """Processor milliseconds of each call; the first is left out, which compiles."""
    taken = []
    for call in calls:
        start = time.process_time()
        call()
        taken.append(1e3 * (time.process_time() - start))
    return np.array(taken[1:])


def measured(network: Network, signal: NDArray[Any], nest: bool) -> dict[str, NDArray[np.float64]]:
    """Milliseconds a step of a signal (C, L), by how it is fed."""
    whole = run(network, signal[None], membranes=[network.readout.population])
    final = whole.membranes[network.readout.population][0, -1]
    expected = final / network.readout.kind.terms(network.steps)
    answer = Session(network).steps(signal)[-1].scores
    _timing.require(bool((answer == expected).all()), "the last answer is that of the whole sample")
    steps = range(signal.shape[1])
    one, many = Session(network), Session(network)
    found = {
        "step by step": each([lambda k=k: one.steps(signal[:, k : k + 1]) for k in steps]),  # type: ignore[misc]
        "in blocks of 64": each(
            [lambda k=k: many.steps(signal[:, k : k + 64]) for k in steps[::64]]  # type: ignore[misc]
        ) / 64,
    }
    if nest:
        with NestSession(network) as session:
            found["in NEST"] = each(
                [lambda k=k: session.steps(signal[:, k : k + 1]) for k in steps]  # type: ignore[misc]
            )
    return found


def heart(steps: int) -> tuple[Network, NDArray[Any]]:
    config = get_task("mitbih").config()
    config = replace(config, task=replace(config.task, steps=steps))
    signal = np.random.default_rng(0).integers(0, 256, (1, steps))
    return random_network(config), signal


def sound(steps: int) -> tuple[Network, NDArray[Any], float]:
    """The network, the cochlea's spikes, and the front end's milliseconds a step."""
    task = TaskConfig(
        "own", steps, encode="cochlea", encode_size=BANDS, encode_low=(100.0,),
        encode_high=(6000.0,), encode_hop=HOP, sample_rate=float(RATE),
    )
    wave = np.random.default_rng(0).normal(size=(1, 1, steps * HOP))
    taken = _timing.stopwatch(lambda: ENCODERS["cochlea"].encode(wave, task))
    model = ModelConfig(inputs=BANDS, input_bits=1, input_scale=1.0, channels=64, depth=4)
    network = random_network(Config(replace(task, encode="none", name="smnist"), model))
    return network, ENCODERS["cochlea"].encode(wave, task)[0], 1e3 * taken.cpu / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=784)
    options = parser.parse_args()
    print(_timing.machine())
    images = read_samples(EXAMPLES / "data" / "mnist-test-200.npz").inputs
    for name in ("smnist-binary-s4d", "smnist-gsu", "smnist-stock"):
        network = lower(load_checkpoint(checkpoint(name)))
        tell(name, 1.0, measured(network, images[0], network.family.streams))
    network, signal = heart(options.steps)
    tell("heart, 360 Hz", 3e3 / 360, measured(network, signal, True))
    network, signal, front = sound(options.steps)
    times = measured(network, signal, True)
    print(f"  the cochlea takes {front:.3f} ms a step")
    tell("sound, 16 kHz", 1e3 * HOP / RATE, {k: v + front for k, v in times.items()})


def tell(name: str, lasts: float, found: dict[str, NDArray[np.float64]]) -> None:
    """A line a way of feeding, and the verdict."""
    print(f"{name}: a step lasts {lasts:.3g} ms")
    for way, taken in found.items():
        mean, most = taken.mean(), np.quantile(taken, 0.99)
        print(f"  {way:16} {mean:.3f} ms a step, 99 in 100 below {most:.3f}; {mean / lasts:.3f} of "
              "its time")
        if way == "step by step":
            _timing.verdict("share of a step's time", taken.mean() / lasts, 1.0, "", at_least=False)


if __name__ == "__main__":
    main()
