"""A relayed residual stream: the trained model again, of a population a layer and few synapses."""

import itertools

import numpy as np
import pytest
from support.gated_networks import KINDS, checkpoint_of_kind, lowered
from support.random_networks import NORMS
from support.trained_model import assert_is_the_trained_model, close

from export.lowering.network import lower
from export.pynn import built
from export.software import simulation as software

GATED = [kind for kind in KINDS if "glu" in kind or "gsu" in kind]


def relayed(kind, **changes):
    return lowered(kind, residual="relayed", **changes)


@pytest.mark.parametrize(("norm", "kind"), list(itertools.product(NORMS, GATED)))
def test_the_network_is_the_trained_model(kind, norm):
    assert_is_the_trained_model(*relayed(kind, seed=len(kind), depth=3, **NORMS[norm]))


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_its_populations_are_the_stream_behind_each_layer(kind):
    """What each one sends is what the folded network's layers have at their inputs, undone."""
    checkpoint, network, samples = relayed(kind, depth=3, norm="none")
    found = software.run(network, samples, membranes=["stream0", "stream1", "stream"])
    folded = software.run(lower(checkpoint), samples, membranes=["stream"])
    assert close(found.membranes["stream"], folded.membranes["stream"])
    for name, spikes in folded.spikes.items():
        assert (found.spikes[name] == spikes).all()
    for i in range(2):  # without a norm a layer's input is the stream itself
        (into,) = network.incoming(f"layer{i + 1}")
        assert (into.source, into.graded) == (f"stream{i}", True)
        assert (into.weights == np.eye(6)).all()
    assert not close(found.membranes["stream0"], found.membranes["stream1"])


def test_the_parts_of_a_gsu_network():
    _, network, _ = relayed("gsu", depth=3)
    assert [(p.name, p.latency) for p in network.populations] == [
        ("layer0", 1), ("layer0_negative", 1), ("stream0", 2),
        ("layer1", 3), ("layer1_negative", 3), ("stream1", 4),
        ("layer2", 5), ("layer2_negative", 5), ("stream", 6), ("readout", 7),
    ]
    expected = {
        ("input", "layer0", "input", False), ("input", "layer0_negative", "input", False),
        ("input", "stream0", "input", False), ("stream0", "stream1", "input", True),
        ("stream1", "stream", "input", True), ("stream", "readout", "input", True),
    }
    for i, stream in enumerate(["stream0", "stream1", "stream"]):
        expected |= {
            (f"layer{i}", stream, "value0", False), (f"layer{i}_negative", stream, "value0", False),
            (f"layer{i}", stream, "gate0", True),
        }
        if i < 2:
            expected |= {(stream, f"layer{i + 1}{end}", "input", True) for end in ("", "_negative")}
    assert {(p.source, p.target, p.receptor, p.graded) for p in network.projections} == expected
    for population in network.populations:
        branches = population.branches
        assert (branches.count if branches else 0) == int(population.name.startswith("stream"))


@pytest.mark.parametrize("delay", [1, 3])
def test_latencies(delay):
    network = lower(checkpoint_of_kind("glu", depth=3), delay=delay, residual="relayed")
    chain = ["layer0", "stream0", "layer1", "stream1", "layer2", "stream", "readout"]
    for i, name in enumerate(chain):
        assert network.population(name).latency == (i + 1) * delay
    assert network.max_lag == 0


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_synapses_grow_as_the_layers_do(kind):
    """Of a folded network they grow as the square."""
    def synapses(depth, residual):
        network = lower(checkpoint_of_kind(kind, depth=depth), residual=residual)
        return sum(p.n_synapses for p in network.projections if p.receptor != "input")

    relays = [synapses(depth, "relayed") for depth in (2, 4, 8)]
    folds = [synapses(depth, "folded") for depth in (2, 4, 8)]
    assert relays[2] - relays[1] < 2.3 * (relays[1] - relays[0])
    assert folds[2] - folds[1] > 3 * (folds[1] - folds[0])
    assert all(5 * few < 8 * many for few, many in zip(relays, folds, strict=True))
    assert 4 * relays[2] < folds[2]


@pytest.mark.parametrize("kind", ["glu", "gsu", "glu of differences"])
def test_nest_has_every_spike_and_membrane(quiet_nest, kind):
    _, network, samples = relayed(kind, depth=3)
    names = [p.name for p in network.populations]
    expected = software.run(network, samples, membranes=names)
    found = built.run("nest", network, samples, membranes=names)
    for name, spikes in expected.spikes.items():
        assert (found.spikes[name] == spikes).all()
        assert spikes.any()
    for name in names:
        assert (found.membranes[name] == expected.membranes[name]).all()


@pytest.mark.parametrize("residual", ["folded", "relayed"])
def test_nest_makes_the_synapses_that_are_counted(quiet_nest, residual):
    import pyNN.nest as sim

    _, network, _ = lowered("gsu", depth=3, residual=residual)
    assert network.folded == (residual == "folded")
    sim.setup(**built.setup_arguments("nest", network))
    made = built.build(sim, network).projections
    for projection in network.projections:
        assert len(made[network.key(projection)]) == projection.n_synapses > 0
    relays = [p for p in network.projections if p.source == "stream0"]
    assert [p.n_synapses for p in relays] == [6] * len(relays)  # one to one, kept as a matrix
    assert len(relays) == (3 if residual == "relayed" else 0)
