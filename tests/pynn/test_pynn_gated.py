"""Whole gated networks in NEST against the equations, and against software (E3).

The simulation of this file goes step by step and neuron by neuron, with Python's own exp and erf.
Graded weights are any numbers, so NEST must add membranes in the order of their senders.
"""

import numpy as np
import pytest
from support.nest_reference import Reference, branches_of, dyadic, graded_sum
from support.nest_simulator import IN_NEST, sim
from support.random_networks import cell_of

from export.description.network import Network, Population, Projection, Readout, Source
from export.pynn.built import BackendError, build, run, setup_arguments
from export.samples.inputs import encode
from export.samples.readout import logits, needed_membranes
from export.software import simulation as software
from pynn_models.cells import StateSpaceCell
from pynn_models.nest import projection_weights

pytestmark = IN_NEST

SOURCES = {
    "bits": Source("input", "bits", 2, bits=2),
    "token": Source("input", "token", 1, symbols=4),
    "spikes": Source("input", "spikes", 4),
    "current": Source("input", "current", 2, bits=3),
}
SIZES = {"layer0": 5, "mirror0": 5, "stream": 4, "layer1": 6, "readout": 3}
LATENCIES = {"input": 0, "layer0": 1, "mirror0": 1, "stream": 2, "layer1": 3, "readout": 5}
SILENT = ("stream", "readout")
BRANCHES = {"stream": 1, "layer1": 2, "readout": 1}


def population_of(rng, name, kind, delay):
    size, silent = SIZES[name], name in SILENT
    branches = branches_of(rng, kind, size, BRANCHES[name]) if name in BRANCHES else None
    if name == "stream":  # its membrane is its input
        none = np.empty((size, 0))
        cell = StateSpaceCell(
            tau=none, c_re=none, d=np.ones(size), theta=np.full(size, np.inf),
            bias=rng.normal(size=size), branches=branches,
        )
    else:
        plain = cell_of(rng, size, silent=silent)
        names = ("tau", "omega", "c_re", "c_im", "d", "theta", "bias")
        cell = StateSpaceCell(**{n: getattr(plain, n) for n in names}, branches=branches)
    return Population(name, cell, delay * LATENCIES[name])


def gated_network(seed=0, kind="glu", encoding="bits", delay=1, timestep=1.0, steps=20):
    """Spikes and membranes to inputs, values and gates, at times several to one receptor."""
    rng = np.random.default_rng(seed)
    source = SOURCES[encoding]
    populations = tuple(population_of(rng, name, kind, delay) for name in SIZES)
    sizes = {"input": source.size} | SIZES

    def spikes(pre, post, receptor="input"):
        weights = dyadic(rng, (sizes[pre], sizes[post]))
        steps = delay * (LATENCIES[post] - LATENCIES[pre])
        return Projection(pre, post, weights, steps, receptor)

    def membranes(pre, post, receptor="input"):
        weights = rng.normal(size=(sizes[pre], sizes[post])) * 0.4
        weights[rng.random(weights.shape) < 0.3] = 0.0
        steps = delay * (LATENCIES[post] - LATENCIES[pre])
        return Projection(pre, post, weights, steps, receptor, graded=True)

    to_gate = membranes if kind == "gsu" else spikes
    projections = (
        spikes("input", "layer0"),
        spikes("input", "mirror0"),
        spikes("input", "stream"),
        spikes("layer0", "stream", "value0"),
        spikes("mirror0", "stream", "value0"),
        to_gate("layer0", "stream", "gate0"),
        spikes("input", "layer1"),
        membranes("stream", "layer1"),
        spikes("mirror0", "layer1", "value0"),
        membranes("layer0", "layer1", "gate0"),
        membranes("mirror0", "layer1", "gate0"),
        membranes("stream", "layer1", "value1"),
        spikes("layer0", "layer1", "gate1"),
        membranes("stream", "readout"),
        spikes("layer1", "readout"),
        spikes("layer1", "readout", "value0"),
        membranes("layer1", "readout", "gate0"),
    )
    readout = Readout("readout", "mean")
    return Network(timestep, steps, source, populations, projections, readout)


def samples_of(network, count=3):
    rng, source = np.random.default_rng(7), network.source
    top = {"bits": 2**source.bits, "token": source.symbols, "spikes": 2, "current": 8}
    return rng.integers(0, top[source.encoding], (count, source.channels, network.steps))


def arriving(network, name, receptor, emitted, held):
    """At one step: spikes, and then membranes, senders in the order of the populations."""
    total = np.zeros(SIZES[name])
    graded = []
    for projection in network.incoming(name, receptor):
        if projection.graded:
            graded.append(projection)
        else:
            total = total + emitted[projection.source] @ projection.weights
    if not graded:
        return total
    values = np.concatenate([held[p.source] for p in graded])
    return total + graded_sum(np.concatenate([p.weights for p in graded]), values)


def simulate(network, samples):
    """Spikes of all but the silent, and all membranes, (B, L, H)."""
    encoded = encode(network, samples).astype(float)
    spikes = {p.name: np.zeros((*encoded.shape[:2], p.size), bool) for p in network.layers}
    traces = {p.name: np.zeros((*encoded.shape[:2], p.size)) for p in network.populations}
    for b in range(len(encoded)):
        models = {p.name: Reference(p.cell, network.timestep) for p in network.populations}
        for k in range(network.steps):
            emitted, held = {"input": encoded[b, k]}, {}
            for name, model in models.items():
                pairs = [
                    [arriving(network, name, f"{part}{p}", emitted, held)
                     for part in ("value", "gate")]
                    for p in range(BRANCHES.get(name, 0))
                ]
                at_input = arriving(network, name, "input", emitted, held)
                _, held[name], emitted[name] = model.step(at_input, pairs)
                traces[name][b, k] = held[name]
                if name in spikes:
                    spikes[name][b, k] = emitted[name]
    return spikes, traces


def assert_exact(network, samples):
    """NEST to the last bit of the equations, software to the last spike; returns the spikes."""
    names = [p.name for p in network.populations]
    spikes, traces = simulate(network, samples)
    found = run("nest", network, samples, membranes=names)
    other = software.run(network, samples, membranes=names)
    assert set(found.spikes) == set(other.spikes) == set(spikes) == set(names) - set(SILENT)
    for name, expected in spikes.items():
        wrong = np.argwhere(found.spikes[name] != expected)
        assert len(wrong) == 0, f"{len(wrong)} spikes of {name} differ, first at {wrong[0]}"
        assert (other.spikes[name] == expected).all(), name
    for name, expected in traces.items():
        assert (found.membranes[name] == expected).all(), f"membranes of {name} differ"
        np.testing.assert_allclose(other.membranes[name], expected, rtol=1e-12, atol=1e-12)
    assert needed_membranes(network) == ["readout"]
    np.testing.assert_allclose(
        logits(network, samples, found), logits(network, samples, other), rtol=1e-12
    )
    return sum(int(s.sum()) for s in spikes.values())


@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("encoding", ["bits", "token", "spikes", "current"])
def test_gated_networks_bit_for_bit(encoding, kind, delay):
    network = gated_network(delay, kind, encoding, delay)
    assert assert_exact(network, samples_of(network)) > 100


@pytest.mark.parametrize("seed", range(3))
def test_another_timestep(seed):
    network = gated_network(seed, "gsu", timestep=0.1)
    assert assert_exact(network, samples_of(network)) > 100


def test_the_built_projections_have_their_receptors_in_the_key():
    network = gated_network(kind="gsu", delay=2)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples_of(network))
    assert len(built.projections) == len(network.projections)
    for projection in network.projections:
        key = (projection.source, projection.target)
        if projection.receptor != "input":
            key = (*key, projection.receptor)
        weights = projection.weights
        if projection.graded:  # where a weight of 0 is no synapse
            weights = np.where(weights == 0, np.nan, weights)
        np.testing.assert_array_equal(projection_weights(built.projections[key]), weights)
    sim.end()


def test_a_script_sends_spikes_and_reads_membranes():
    """A population of the user's own beside a gated network changes nothing in it."""
    network = gated_network(kind="gsu")
    samples = samples_of(network)
    sim.setup(**(setup_arguments("nest", network) | {"max_delay": 10.0}))
    built = build(sim, network, samples)
    mine = sim.Population(2, sim.IF_curr_exp(), label="mine")
    sim.Projection(
        built.populations["layer1"], mine, sim.AllToAllConnector(),
        sim.StaticSynapse(weight=3.0, delay=2.0), receptor_type="excitatory",
    )
    mine.record("spikes")
    built.record(["stream"])
    sim.run(built.duration)
    found = built.recording(["stream"])
    assert min(len(t) for t in mine.get_data("spikes").segments[0].spiketrains) > 0
    sim.end()
    spikes, traces = simulate(network, samples)
    assert all((found.spikes[name] == expected).all() for name, expected in spikes.items())
    assert (found.membranes["stream"] == traces["stream"]).all()


def test_a_current_at_a_gate_is_refused():
    network = gated_network(encoding="current")
    at_gate = Projection("input", "stream", np.ones((2, 4)), 2, "gate0")
    projections = (*(p for p in network.projections if p.target != "stream"), at_gate)
    network = Network(
        1.0, 20, network.source, network.populations, projections, network.readout
    )
    sim.setup(**setup_arguments("nest", network))
    with pytest.raises(BackendError, match=r"'stream' \(gate0\).* currents reach .* 'input' only"):
        build(sim, network, samples_of(network))
    sim.end()
