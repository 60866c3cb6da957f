"""Gated and graded input of the NEST neuron against its equation: every bit of u, y and spikes.

Spikes have weights on a dyadic grid, whose sums are exact; graded input and biases are any
numbers, so the order of the additions is tested too.
"""

import numpy as np
import pytest
from support.nest_reference import (
    Reference,
    assert_identical,
    branch,
    branches_of,
    dyadic,
    graded_sum,
)
from support.nest_simulator import (
    IN_NEST,
    printed_by,
    receptors,
    recorded,
    setup,
    sim,
    spike_sources,
    trace,
    wire,
)

from pynn_models.cells import Branches, StateSpaceCell
from pynn_models.nest import (
    DenseConnector,
    GradedSynapse,
    RawStaticSynapse,
    cell_type,
    projection_weights,
)

pytestmark = IN_NEST


def cell_of(rng, n_neurons, n_modes=3, branches=None):
    modes = (n_neurons, n_modes)
    return StateSpaceCell(
        tau=rng.uniform(0.5, 40, modes),
        omega=rng.uniform(-2, 2, modes),
        c_re=rng.normal(size=modes),
        c_im=rng.normal(size=modes),
        d=rng.normal(size=n_neurons),
        theta=rng.normal(size=n_neurons) * 0.3,
        bias=rng.normal(size=n_neurons) * 0.1,
        branches=branches,
    )


@pytest.mark.parametrize("graded", [False, True], ids=["spikes", "graded"])
@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("receptor", receptors(2))
def test_each_receptor_is_itself(receptor, kind, graded):
    """One neuron, input at one receptor, and the equation of its u written out."""
    rng = np.random.default_rng(1)
    branches = branches_of(rng, kind, 1, 2)
    setup()
    target = sim.Population(1, wire([0.25], branches))
    target.record("u")
    if graded:
        weight, value = rng.normal(), rng.normal()
        source, synapse = sim.Population(1, wire([value])), GradedSynapse(delay=1.0)
        arriving = [0.0] + [weight * value] * 8
    else:
        weight = -0.75
        raster = np.array([[0], [1], [0], [1], [1], [0]])
        source, synapse = spike_sources(raster, 3, 1, 1.0), RawStaticSynapse(delay=1.0)
        arriving = [0.0] * 3 + (weight * raster[:, 0]).tolist()
    sim.Projection(source, target, DenseConnector([[weight]]), synapse, receptor_type=receptor)
    sim.run(9.0)

    expected = []
    for x in arriving:
        u = (x if receptor == "excitatory" else 0.0) + 0.25
        for p in range(2):
            u += branch(
                kind,
                (x if receptor == f"value{p}" else 0.0) + branches.value_bias[0, p],
                (x if receptor == f"gate{p}" else 0.0) + branches.gate_bias[0, p],
                branches.shift[0, p],
                branches.gain[0, p],
            )
        expected.append(u)
    assert len(set(expected)) == 2
    assert trace(target)[:, 0].tolist() == expected


@pytest.mark.parametrize("gate", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_gates_far_open_and_far_shut(kind, gate):
    one = np.ones((1, 1))
    branches = Branches(
        kind=kind, value_bias=0.7 * one, gate_bias=gate * one, shift=0 * one, gain=one
    )
    setup()
    target = sim.Population(1, wire([0.0], branches))
    target.record("u")
    sim.run(1.0)
    shut = kind == "glu" and gate == -1000.0  # exp(1000) is infinite, and Python's refuses it
    expected = 0.0 if shut else branch(kind, 0.7, gate, 0.0, 1.0)
    assert trace(target)[0, 0] == expected


def check_all(kind="glu", dt=1.0, delay_steps=1, threads=1, parts=1, count=2, rows=2):
    """Spikes and membranes at all receptors at once, over samples that follow each other.

    Graded from ``rows`` neurons of two populations, one of them with a longer delay. Returns the
    number of spikes compared.
    """
    rng = np.random.default_rng(23)
    n_samples, sample_steps, size, n_sources = 3, 25, 4, 5
    steps = n_samples * sample_steps
    cells = [cell_of(rng, rows), cell_of(rng, rows, 1)]
    cells.append(cell_of(rng, size, branches=branches_of(rng, kind, size, count)))
    first = [2 * delay_steps, 3 * delay_steps, 5 * delay_steps]
    raster = rng.random((steps, n_sources)) < 0.3
    into = [dyadic(rng, (n_sources, rows)) for _ in range(2)]
    spiked = {name: dyadic(rng, (n_sources, size)) for name in receptors(count)}
    graded = {name: rng.normal(size=(2, rows, size)) for name in receptors(count)}

    setup(dt, delay_steps, threads)
    populations = [
        sim.Population(cell.n_neurons, cell_type(cell, start, sample_steps))
        for cell, start in zip(cells, first, strict=True)
    ]
    sources = spike_sources(raster, first[0], delay_steps, dt)

    def connect(pre, post, weights, synapse, steps, receptor="excitatory"):
        made = sim.Projection(
            pre, post, DenseConnector(weights), synapse(delay=steps * dt), receptor_type=receptor
        )
        assert (projection_weights(made) == weights).all()

    for i in range(2):
        delay = first[i] - first[0] + delay_steps
        connect(sources, populations[i], into[i], RawStaticSynapse, delay)
    for name in receptors(count):
        delay = first[2] - first[0] + delay_steps
        connect(sources, populations[2], spiked[name], RawStaticSynapse, delay, name)
        for i in range(2):
            delay = first[2] - first[i]
            connect(populations[i], populations[2], graded[name][i], GradedSynapse, delay, name)
    for population in populations:
        population.record(["spikes", "u", "y"])
    total = first[-1] + steps + 1
    for part in range(parts):
        sim.run((total * (part + 1) // parts - total * part // parts) * dt)

    models = [Reference(cell, dt) for cell in cells]
    expected = [[], [], []]
    for k in range(steps):
        if k % sample_steps == 0:
            for model in models:
                model.reset()
        for i in range(2):
            expected[i].append(models[i].step(raster[k] @ into[i]))
        y = np.concatenate([expected[0][k][1], expected[1][k][1]])
        arriving = {
            name: raster[k] @ spiked[name] + graded_sum(np.concatenate(graded[name]), y)
            for name in receptors(count)
        }
        pairs = [(arriving[f"value{p}"], arriving[f"gate{p}"]) for p in range(count)]
        expected[2].append(models[2].step(arriving["excitatory"], pairs))
    spikes = 0
    for population, start, rows_of in zip(populations, first, expected, strict=True):
        layer = [np.array(column) for column in zip(*rows_of, strict=True)]
        assert_identical(recorded(population, start, steps, dt), layer)
        spikes += int(layer[2].sum())
    return spikes


@pytest.mark.parametrize("dt", [1.0, 0.1])
@pytest.mark.parametrize("delay_steps", [1, 3])
@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_all_receptors_bit_for_bit(kind, delay_steps, dt):
    assert check_all(kind, dt, delay_steps) > 50


def test_a_run_in_parts_equals_a_run_in_one():
    """Runs that end within a slice of min_delay steps must not lose what was to be sent."""
    assert check_all("gsu", delay_steps=3, parts=10) == check_all("gsu", delay_steps=3)


def test_two_threads_bit_for_bit():
    # With more graded sources the threads would decide the order of their sum.
    code = (
        "import test_nest_branches as t\n"
        "for steps in (1, 3):\n"
        "    found = t.check_all('gsu', delay_steps=steps, rows=1, threads=2)\n"
        "    print('spikes', steps, found)\n"
    )
    printed = printed_by(code).splitlines()
    for steps in (1, 3):
        assert f"spikes {steps} {check_all('gsu', delay_steps=steps, rows=1)}" in printed


@pytest.mark.parametrize("delay_steps", [1, 3])
def test_a_membrane_goes_down_a_chain_unchanged(delay_steps):
    """y = u from neuron to neuron: what the last holds is what the first held, delays earlier."""
    setup(min_delay_steps=delay_steps)
    source = sim.Population(2, cell_type(cell_of(np.random.default_rng(2), 2)))
    chain = [source, *(sim.Population(2, wire([0.0, 0.0])) for _ in range(3))]
    delays = [delay_steps, delay_steps + 2, 7]
    for pre, post, delay in zip(chain, chain[1:], delays, strict=False):
        sim.Projection(pre, post, DenseConnector(np.eye(2)), GradedSynapse(delay=float(delay)))
    for population in chain:
        population.record("y")
    sim.run(30.0)
    first = trace(source, "y")
    assert len(np.unique(first)) == 60
    for population, delay in zip(chain[1:], np.cumsum(delays), strict=True):
        found = trace(population, "y")
        assert (found[delay:] == first[:-delay]).all() and not found[:delay].any()


def test_before_its_first_step_a_neuron_sends_nothing():
    setup()
    source = sim.Population(1, wire([2.0], first_step=5))
    source.initialize(y=7.0)
    target = sim.Population(1, wire([0.0]))
    target.record("u")
    sim.Projection(source, target, DenseConnector([[0.5]]), GradedSynapse(delay=2.0))
    sim.run(10.0)
    assert trace(target)[:, 0].tolist() == [0.0] * 7 + [1.0] * 3


def test_neurons_and_connections_may_come_after_a_run():
    setup()
    a, b = sim.Population(1, wire([1.0])), sim.Population(1, wire([0.0]))
    sim.Projection(a, b, DenseConnector([[2.0]]), GradedSynapse(delay=1.0))
    sim.run(3.0)
    late = sim.Population(1, wire([0.0]))
    sim.run(3.0)
    assert late.node_collection.get("u") == 0.0 and b.node_collection.get("u") == 2.0
    sim.Projection(b, late, DenseConnector([[4.0]]), GradedSynapse(delay=1.0))
    sim.run(3.0)
    assert late.node_collection.get("u") == 8.0
