"""Building a network in NEST, against PyNN's own ArrayConnector.

Compared: ``export.pynn.build`` for 4 layers of 128 channels and 32 modes with all skip projections
(15 projections, 108 thousand synapses), and a PyNN script that makes the same populations and
connects them with ``sim.ArrayConnector``, a weight a synapse. Both start right after a fresh
``sim.setup`` and end before ``sim.run``; NEST must hold the same weights and delays afterwards.

Target: >= 20 x. Both make the same populations, which bounds the ratio; how the ArrayConnector
script's time divides into populations and projections is printed too.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from typing import Any

import _timing  # first, see there
import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.lowering.network import lower
from export.pynn.built import Built, build, setup_arguments, simulator
from export.samples.inputs import encode
from snn_ssm.checkpoint import Checkpoint, expected_shapes
from snn_ssm.config import Config, ModelConfig

CHANNELS, DEPTH, MODES = 128, 4, 32
TARGET = 20.0


def random_network(seed: int = 0) -> Network:
    """A network of random weights, its modes those at the start of training (S4D-Lin)."""
    model = ModelConfig(channels=CHANNELS, depth=DEPTH, modes=MODES)
    rng = np.random.default_rng(seed)

    def value(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        match name.split(".")[-2:]:
            case [_, "num_batches_tracked"]:
                return np.array(1)
            case ["ssm", "a"]:
                return np.full(shape, np.log(0.5))
            case ["ssm", "omega"]:
                return np.tile(np.pi * np.arange(MODES), (CHANNELS, 1))
            case ["ssm", "log_dt"]:
                return rng.uniform(np.log(1e-3), np.log(1e-1), shape)
            case ["norm", "weight" | "running_var"]:
                return np.ones(shape)
            case _:
                return rng.normal(size=shape) / np.sqrt(shape[-1])

    arrays = {name: value(name, shape) for name, shape in expected_shapes(model).items()}
    return lower(Checkpoint(Config(model=model), arrays))


def random_samples(network: Network, count: int) -> NDArray[Any]:
    """Random bytes, (count, channels, steps)."""
    shape = (count, network.source.channels, network.steps)
    return np.random.default_rng(1).integers(0, 256, shape)


def fresh(network: Network) -> Any:
    """PyNN on NEST after a new setup."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyNN's extensions, which are not needed
        sim = simulator("nest")
        sim.setup(**setup_arguments("nest", network))
    # NEST's word to PyNN; it would come out between the results.
    warnings.filterwarnings("ignore", r"\s*[GS]etStatus\(\) is deprecated")
    return sim


def build_with_array_connectors(
    sim: Any, network: Network, samples: NDArray[Any], marks: list[float]
) -> dict[tuple[str, str], Any]:
    """The same populations and projections, as a PyNN script would make them.

    Leaves the time at which the populations were there in ``marks``.
    """
    from pyNN.parameters import Sequence

    from pynn_models.nest import RawStaticSynapse, cell_type, install

    install()
    start = network.min_delay
    populations = {
        p.name: sim.Population(
            p.size, cell_type(p.state_space, start + p.latency, network.steps), label=p.name
        )
        for p in network.populations
    }
    stream = encode(network, samples).reshape(-1, network.source.size)
    times = [Sequence((np.flatnonzero(row) + start + 1.0) * network.timestep) for row in stream.T]
    populations[network.source.name] = sim.Population(
        network.source.size, sim.SpikeSourceArray(spike_times=times)
    )
    marks.append(time.process_time())
    return {
        (p.source, p.target): sim.Projection(
            populations[p.source],
            populations[p.target],
            sim.ArrayConnector(np.ones(p.weights.shape, dtype=bool)),
            RawStaticSynapse(weight=p.weights, delay=p.delay * network.timestep),
            receptor_type="excitatory",
        )
        for p in network.projections
    }


def same_synapses(network: Network, projections: Mapping[Any, Any]) -> bool:
    """Whether NEST holds the network's weights and delays, every one of them."""
    from pynn_models.nest import projection_weights

    return all(
        np.array_equal(projection_weights(made), p.weights)
        and set(made.nest_connections.get("delay")) == {p.delay * network.timestep}
        for p in network.projections
        for made in [projections[p.source, p.target]]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    network = random_network()
    samples = random_samples(network, 1)
    synapses = sum(p.weights.size for p in network.projections)
    print(_timing.machine())
    print(f"{DEPTH} layers x {CHANNELS} channels x {MODES} modes, "
          f"{len(network.projections)} projections, {synapses} synapses")

    built: list[Built] = []
    plain: list[dict[tuple[str, str], Any]] = []
    connecting: list[float] = []

    def project() -> _timing.Elapsed:
        sim = fresh(network)
        return _timing.stopwatch(lambda: built.append(build(sim, network, samples)))

    def array_connector() -> _timing.Elapsed:
        sim = fresh(network)
        marks: list[float] = []
        taken = _timing.stopwatch(
            lambda: plain.append(build_with_array_connectors(sim, network, samples, marks))
        )
        connecting.append(time.process_time() - marks[0])
        return taken

    project()
    _timing.require(same_synapses(network, built[-1].projections), "weights and delays of build()")
    array_connector()
    _timing.require(same_synapses(network, plain[-1]), "weights and delays of ArrayConnector")
    connecting.clear()
    times = _timing.interleave(
        {"project": project, "ArrayConnector": array_connector}, repetitions
    )
    populations = min(
        taken - projections
        for taken, projections in zip(times[1].cpu, connecting, strict=True)
    )
    value = _timing.ratio(times[1], times[0])
    print(f"  of the ArrayConnector script's cpu time {populations:.3f} s go into populations, "
          f"{min(connecting):.3f} s into projections")
    _timing.verdict("times faster", value, TARGET, " x")


if __name__ == "__main__":
    main()
