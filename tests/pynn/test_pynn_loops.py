"""Loops, lags and single synapses in NEST: every spike, and membranes bit for bit."""

import numpy as np
import pytest
from support.looped_networks import looped_network_of
from support.nest_simulator import IN_NEST, nest, recorded, setup, sim, spike_sources
from support.network_parts import cell
from support.random_networks import checkpoint_of, network_samples, samples_of
from support.scalar_simulator import assert_same_bits, synapses_of

from export.description.network import Network, Population, Projection, Readout, Source
from export.lowering import lower
from export.pynn.backend import BackendError
from export.pynn.built import build, run, setup_arguments
from export.software import simulation as software
from pynn_models.nest import (
    GradedSynapse,
    ProjectionError,
    RawStaticSynapse,
    SynapsesConnector,
    cell_type,
)

pytestmark = IN_NEST


@pytest.mark.parametrize("seed", range(16))
def test_random_graphs_bit_for_bit(seed):
    """Samples stream, so that nothing of one may reach the next: against a simulator of delay lines
    and against software."""
    encoding = "current" if seed % 4 == 3 else "bits"
    timestep = 0.5 if seed % 5 == 4 else 1.0
    network = looped_network_of(seed, encoding=encoding, timestep=timestep, back=0.6)
    samples = network_samples(network, 4, seed)
    names = [p.name for p in network.populations]
    found = run("nest", network, samples, membranes=names)
    assert_same_bits(network, samples, found)
    ours = software.run(network, samples)
    assert all((found.spikes[k] == ours.spikes[k]).all() for k in ours.spikes)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs_of_leaky_cells(seed):
    """Samples run side by side, and no loop leads from one to another."""
    network = looped_network_of(seed, cells="lif", back=0.6)
    samples = network_samples(network, 3, seed)
    found, ours = run("nest", network, samples), software.run(network, samples)
    assert found.spikes.keys() == ours.spikes.keys()
    assert all((found.spikes[k] == ours.spikes[k]).all() for k in ours.spikes)


@pytest.mark.parametrize("acting", [
    {"reset": "soft", "refractory": 1, "history": 2}, {"reset": "hard"}, {"reset": "soma"},
], ids=str)
def test_recurrent_neurons_that_their_own_spikes_reset(acting):
    checkpoint = checkpoint_of(recurrent=True, recurrent_delays=2, channels=12, **acting)
    network, samples = lower(checkpoint), samples_of(checkpoint)
    found, ours = run("nest", network, samples), software.run(network, samples)
    for name, spikes in ours.spikes.items():
        assert (found.spikes[name] == spikes).all() and 0.02 < spikes.mean() < 0.98


def test_the_gap_between_samples_is_needed():
    """A spike of the last step, 5 steps under way, in a neuron that would fire by it."""
    source = Source("input", "bits", 1, 1)
    hair = cell(1, theta=0.5, tau=np.empty((1, 0)), c_re=np.empty((1, 0)), d=np.ones(1))
    network = Network(
        1.0, 3, source, (Population("a", hair, 1), Population("readout", cell(1, np.inf), 2)),
        (Projection("input", "a", np.ones((1, 1)), 6), Projection("a", "readout", [[1.0]], 1)),
        Readout("readout", "mean"),
    )
    samples = np.ones((2, 1, 3))
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples)
    built.record()
    sim.run(built.duration)
    assert not built.recording().spikes["a"].any()
    assert [built.populations["a"].get(name) for name in ("period", "active")] == [3 + 5, 3]


def test_a_projection_holds_the_synapses_and_no_others():
    network = looped_network_of(5, back=0.6)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network)
    sparse = [p for p in network.projections if p.sparse]
    assert len(sparse) > 2
    for projection in network.projections:
        made = built.projections[network.key(projection)]
        ends = made.pre.node_collection[0].global_id, made.post.node_collection[0].global_id
        pairs = nest.GetConnections(
            made.pre.node_collection, made.post.node_collection,
            synapse_label=made.nest_synapse_label,
        )
        more = built.first_steps[projection.target] - built.first_steps[projection.source]
        more -= network.lead(projection)
        found = sorted(
            zip(
                np.atleast_1d(pairs.source) - ends[0], np.atleast_1d(pairs.target) - ends[1],
                np.atleast_1d(pairs.weight), np.atleast_1d(pairs.delay) - more, strict=True,
            )
        )
        assert found == synapses_of(projection)
        assert len(made) == projection.n_synapses


def test_taps_are_a_dilated_convolution():
    """A spiking TCN's layers, and an FSMN's memory: kernels of 3 taps, 1, 2 and 4 steps apart."""
    rng, steps, size = np.random.default_rng(0), 30, 5
    kernels = rng.integers(-8, 9, (3, 3, size, size)) / 8.0  # layer, tap, pre, post
    latency = {"input": 0, "a": 1, "b": 2, "c": 3}
    names, projections = list(latency), []
    populations = [
        Population(n, cell(size, theta=0.5, tau=np.empty((size, 0)), c_re=np.empty((size, 0)),
                           d=np.ones(size)), latency[n])
        for n in names[1:]
    ]
    for layer, kernel in enumerate(kernels):
        projections += [
            Projection(names[layer], names[layer + 1], weights, 1 + 2**layer * tap)
            for tap, weights in enumerate(kernel)
        ]
    network = Network(
        1.0, steps, Source("input", "spikes", size),
        (*populations, Population("readout", cell(1, np.inf), 4)),
        (*projections, Projection("c", "readout", np.ones((size, 1)), 1)),
        Readout("readout", "mean"),
    )
    samples = (rng.random((3, size, steps)) < 0.4).astype(int)
    expected, s = {}, samples.transpose(0, 2, 1).astype(float)  # (B, L, size)
    for layer, kernel in enumerate(kernels):
        padded = np.pad(s, ((0, 0), (2 * 2**layer, 0), (0, 0)))
        begins = [2 * 2**layer - 2**layer * tap for tap in range(3)]
        y = sum(padded[:, b : b + steps] @ w for b, w in zip(begins, kernel, strict=True))
        expected[names[layer + 1]] = y > 0.5
        s = expected[names[layer + 1]].astype(float)
    for found in (run("nest", network, samples), software.run(network, samples)):
        for name, spikes in expected.items():
            assert (found.spikes[name] == spikes).all() and 0.1 < spikes.mean() < 0.9


def test_two_recurrent_neurons_know_the_parity_of_any_number_of_bits():
    """``rises = b > p``, ``stays = p > b``, p the parity so far: which of both fired a step ago."""
    steps, wire = 300, {"tau": np.empty((2, 0)), "c_re": np.empty((2, 0)), "d": np.ones(2)}
    network = Network(
        1.0, steps, Source("input", "spikes", 1),
        (Population("state", cell(2, theta=0.5, **wire), 1),
         Population("readout", cell(1, np.inf), 2)),
        (
            Projection("input", "state", [[1.0, -1.0]], 1),
            Projection("state", "state", [[-1.0, 1.0], [-1.0, 1.0]], 1),
            Projection("state", "readout", [[1.0], [1.0]], 1),
        ),
        Readout("readout", "last"),
    )
    bits = np.random.default_rng(0).integers(0, 2, (4, 1, steps))
    for found in (run("nest", network, bits), software.run(network, bits)):
        parity = found.spikes["state"].sum(axis=2)
        assert (parity == bits[:, 0].cumsum(axis=1) % 2).all()


def _late(size, tau, theta):
    """Neurons ``v = beta v + u``, s = v > theta, that a projection of their own resets."""
    return cell(size, theta=theta, tau=np.full((size, 1), tau))


def test_l2mus_populations_as_projections():
    """Input, memory and hidden neurons that all send spikes to each other (L2MU, pipelined: each
    hop takes a step), with the late reset of snnTorch's Leaky, ``v = beta v + I - theta s[k-1]``,
    as a projection from each neuron to itself."""
    rng, steps = np.random.default_rng(1), 40
    sizes, thetas = {"u": 2, "m": 6, "h": 5}, {"u": 0.5, "m": 0.75, "h": 0.375}
    taus = {"u": 2.5, "m": 1.0, "h": 0.6}
    latency = {"x": 0, "u": 1, "m": 2, "h": 3}
    joined = [("x", "u"), ("h", "u"), ("m", "u"), ("u", "m"), ("m", "m"), ("x", "h"), ("h", "h"),
              ("m", "h")]
    weights = {
        pair: rng.integers(-8, 9, ({"x": 3, **sizes}[pair[0]], sizes[pair[1]])) / 8.0
        for pair in joined
    }
    populations = [Population(n, _late(sizes[n], taus[n], thetas[n]), latency[n]) for n in sizes]
    projections = [
        Projection(pre, post, w, max(latency[post] - latency[pre], 1))
        for (pre, post), w in weights.items()
    ]
    for name, size in sizes.items():
        own = weights.get((name, name), 0)
        reset = own - thetas[name] * np.eye(size)
        mask = None if (name, name) in weights else np.eye(size, dtype=bool)
        projections = [p for p in projections if (p.source, p.target) != (name, name)]
        projections.append(Projection(name, name, reset, 1, mask=mask))
    network = Network(
        1.0, steps, Source("x", "spikes", 3),
        (*populations, Population("readout", cell(1, np.inf), 4)),
        (*projections, Projection("h", "readout", np.ones((5, 1)), 1)), Readout("readout", "mean"),
    )
    samples = (rng.random((2, 3, steps)) < 0.5).astype(int)
    s = {"x": samples.transpose(0, 2, 1).astype(float)}
    s |= {name: np.zeros((2, steps, size)) for name, size in sizes.items()}
    v = {name: np.zeros((2, size)) for name, size in sizes.items()}
    for k in range(steps):
        for name in sizes:
            u = -thetas[name] * s[name][:, k - 1] if k else np.zeros_like(v[name])
            for (pre, post), w in weights.items():
                lag = max(latency[post] - latency[pre], 1) - (latency[post] - latency[pre])
                if post == name and k >= lag:
                    u = u + s[pre][:, k - lag] @ w
            v[name] = float(np.exp(-1 / taus[name])) * v[name] + u
            s[name][:, k] = v[name] > thetas[name]
    found = run("nest", network, samples), software.run(network, samples)
    for name in sizes:
        assert 0.02 < s[name].mean() < 0.98
        assert all((one.spikes[name] == s[name]).all() for one in found)


def test_stock_cells_answer_too_late_for_a_loop_of_one_step():
    layer = cell(1)
    network = Network(
        1.0, 4, Source("input", "bits", 1, 1),
        (Population("a", layer, 1), Population("readout", cell(1, np.inf), 2)),
        (
            Projection("input", "a", np.ones((1, 1)), 1), Projection("a", "a", [[1.0]], 1),
            Projection("a", "readout", [[1.0]], 1),
        ),
        Readout("readout", "mean"), cells="stock",
    )
    with pytest.raises(BackendError, match="its delay of 1 steps leaves none, since these stock "):
        run("nest", network, np.ones((1, 1, 4)))


# --- the connector by itself ------------------------------------------------------------------


def _pair(size=2):
    setup()
    raster = np.zeros((12, size), bool)
    raster[3, 0] = raster[5, 1] = True
    pre = spike_sources(raster, 4, 1, 1.0)
    wire = cell(3, np.inf, tau=np.empty((3, 0)), c_re=np.empty((3, 0)), d=np.ones(3))
    post = sim.Population(3, cell_type(wire, 4))
    post.record(["u", "y", "spikes"])
    return pre, post


def test_each_synapse_has_its_weight_and_its_delay():
    pre, post = _pair()
    connector = SynapsesConnector([0, 0, 1, 0], [2, 0, 2, 2], [1.5, -2.0, 4.0, 0.25], [1, 3, 2, 4])
    made = sim.Projection(pre, post, connector, RawStaticSynapse(), receptor_type="excitatory")
    assert len(made) == 4
    sim.run(30)
    u, _, _ = recorded(post, 4, 12, 1.0)
    expected = np.zeros((12, 3))
    expected[3, 2], expected[5, 0], expected[6, 2] = 1.5, -2.0, 4.0 + 0.25
    assert (u == expected).all()


@pytest.mark.parametrize(("arguments", "synapse", "words"), [
    (([0], [3], [1.0], [1.0]), RawStaticSynapse, "a synapse of neuron 3 of post, expected 0 to 2"),
    (([-1], [0], [1.0], [1.0]), RawStaticSynapse, "a synapse of neuron -1 of pre, expected 0 to 1"),
    (([0], [0], [1.0], [1.5]), RawStaticSynapse, "the delay is 1.5 ms, expected a multiple"),
    (([0], [0], [1.0], [1.0]), GradedSynapse, "Membranes are sent through a DenseConnector"),
    (([0], [0], [1.0], [1.0]), sim.StaticSynapse, "the synapse type is StaticSynapse, expected"),
])
def test_what_the_connector_refuses(arguments, synapse, words):
    pre, post = _pair()
    with pytest.raises(ProjectionError, match=words):
        sim.Projection(pre, post, SynapsesConnector(*arguments), synapse())


@pytest.mark.parametrize("arguments", [
    ([0, 1], [0], [1.0], [1.0]), ([0], [0], [1.0, 2.0], [1.0]), ([0], [0], [1.0], [1.0, 1.0]),
])
def test_values_that_are_not_one_a_synapse(arguments):
    with pytest.raises(ProjectionError, match="Give one value a synapse"):
        SynapsesConnector(*arguments)


def test_a_weight_that_is_not_finite():
    with pytest.raises(ProjectionError, match="expected a finite number"):
        SynapsesConnector([0], [0], [np.nan], [1.0])


def test_a_neuron_is_not_active_for_longer_than_its_period():
    setup()
    with pytest.raises(nest.NESTErrors.BadProperty, match="active is 5 steps, expected at most"):
        sim.Population(1, cell_type(cell(1), 1, 4, 5))
