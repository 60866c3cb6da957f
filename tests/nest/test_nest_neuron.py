"""The NEST neuron against a plain reference: every bit of u, y and spikes.

Weights and currents lie on a dyadic grid (multiples of 2**-20), so that NEST may add up the
spikes of a step in any order; modes, biases and thresholds are any numbers.
"""

import numpy as np
import pytest
from support.nest_reference import Reference, assert_identical, dyadic, random_cell
from support.nest_simulator import (
    IN_NEST,
    printed_by,
    recorded,
    setup,
    sim,
    spike_counts,
    spike_sources,
)

from pynn_models import StateSpaceCell
from pynn_models.nest import (
    DenseConnector,
    RawStaticSynapse,
    StateSpace,
    cell_type,
    inject_currents,
    projection_weights,
)

pytestmark = IN_NEST


def reference(cells, weights, inputs, dt, sample_steps):
    """u, y, spikes of each layer, (steps, H); all state zero at the start of each sample."""
    layers = [Reference(cell, dt) for cell in cells]
    steps = len(inputs[0])
    traces = [[] for _ in cells]
    for t in range(steps):
        if t % sample_steps == 0:
            for layer in layers:
                layer.reset()
        spikes = []
        for index, layer in enumerate(layers):
            arriving = inputs[index][t]
            for i in range(index):
                arriving = arriving + spikes[i] @ weights[i, index]
            traces[index].append(layer.step(arriving))
            spikes.append(traces[index][-1][2].astype(float))
    return [tuple(np.array(part) for part in zip(*trace, strict=True)) for trace in traces]


def check_network(dt=1.0, delay_steps=1, threads=1, n_samples=3, sample_steps=40, n_modes=5):
    """Three layers with skip projections, samples back to back, mixed cells, spikes and currents.

    Returns the number of spikes compared.
    """
    rng = np.random.default_rng(17)
    sizes, n_sources, n_channels = (7, 6, 5), 8, 3
    steps = n_samples * sample_steps
    cells = [
        random_cell(rng, sizes[0], n_modes),
        random_cell(rng, sizes[1], n_modes, is_complex=False),
        random_cell(rng, sizes[2], 0),
    ]
    first = [(2 + layer) * delay_steps for layer in range(3)]
    weights = {(i, j): dyadic(rng, (sizes[i], sizes[j])) for j in range(3) for i in range(j)}
    source_raster = rng.random((steps, n_sources)) < 0.3
    source_weights = [dyadic(rng, (n_sources, size)) for size in sizes]
    currents = dyadic(rng, (n_channels, steps), bits=10)
    current_weights = dyadic(rng, (n_channels, sizes[0]), bits=10)
    inputs = [source_raster.astype(float) @ w for w in source_weights]
    inputs[0] = inputs[0] + currents.T @ current_weights

    setup(dt, min_delay_steps=delay_steps, threads=threads)
    populations = [
        sim.Population(cell.n_neurons, cell_type(cell, start, sample_steps), label=f"layer {i}")
        for i, (cell, start) in enumerate(zip(cells, first, strict=True))
    ]
    sources = spike_sources(source_raster, first[0], delay_steps, dt)
    projections = []
    for j, target in enumerate(populations):
        target.record(["spikes", "u", "y"])
        from_sources = RawStaticSynapse(delay=(first[j] - first[0] + delay_steps) * dt)
        projections.append((sources, target, source_weights[j], from_sources))
        for i in range(j):
            synapse = RawStaticSynapse(delay=(first[j] - first[i]) * dt)
            projections.append((populations[i], target, weights[i, j], synapse))
    for pre, post, matrix, synapse in projections:
        made = sim.Projection(pre, post, DenseConnector(matrix), synapse)
        assert (projection_weights(made) == matrix).all()
    inject_currents(populations[0], currents, current_weights, first[0])
    sim.run((first[-1] + steps + 1) * dt)

    expected = reference(cells, weights, inputs, dt, sample_steps)
    for population, start, layer in zip(populations, first, expected, strict=True):
        assert_identical(recorded(population, start, steps, dt), layer)
    n_spikes = sum(int(layer[2].sum()) for layer in expected)
    assert n_spikes > 100
    return n_spikes


@pytest.mark.parametrize("dt", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
@pytest.mark.parametrize("n_modes", [0, 1, 5, 16])
def test_one_population_bit_for_bit(n_modes, is_complex, dt):
    rng = np.random.default_rng(n_modes)
    steps, first_step, n_sources = 120, 4, 6
    cell = random_cell(rng, 4, n_modes, is_complex)
    raster = rng.random((steps, n_sources)) < 0.3
    weights = dyadic(rng, (n_sources, 4))
    setup(dt)
    population = sim.Population(4, cell_type(cell, first_step))
    population.record(["spikes", "u", "y"])
    sources = spike_sources(raster, first_step, 1, dt)
    sim.Projection(sources, population, DenseConnector(weights), RawStaticSynapse(delay=dt))
    sim.run((first_step + steps + 1) * dt)
    expected = reference([cell], {}, [raster.astype(float) @ weights], dt, steps)[0]
    assert 0 < expected[2].sum() < expected[2].size
    assert_identical(recorded(population, first_step, steps, dt), expected)


@pytest.mark.parametrize("dt", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("delay_steps", [1, 2, 3])
def test_three_layers_of_streamed_samples_bit_for_bit(delay_steps, dt):
    check_network(dt, delay_steps)


def test_two_threads_bit_for_bit():
    code = "import test_nest_neuron as t; print('spikes', t.check_network(threads=2))"
    assert f"spikes {check_network()}" in printed_by(code)


def test_current_input_equals_spike_input():
    rng = np.random.default_rng(3)
    steps, first_step = 60, 3
    cell = random_cell(rng, 5, 4)
    raster = rng.random((steps, 2)) < 0.4
    weights = dyadic(rng, (2, 5))
    runs = []
    for by_current in (False, True):
        setup()
        population = sim.Population(5, cell_type(cell, first_step))
        population.record(["spikes", "u", "y"])
        if by_current:
            devices = inject_currents(population, raster.T, weights, first_step, delay=2.0)
            assert len(devices) == 2
        else:
            sources = spike_sources(raster, first_step, 2, 1.0)
            sim.Projection(sources, population, DenseConnector(weights), RawStaticSynapse(delay=2))
        sim.run(first_step + steps + 1.0)
        runs.append(recorded(population, first_step, steps, 1.0))
    assert_identical(*runs)


def test_a_run_in_parts_equals_a_run_in_one():
    rng = np.random.default_rng(8)
    cell = random_cell(rng, 3, 4)
    runs = []
    for parts in ([50.0], [7.0, 1.0, 42.0]):
        setup()
        population = sim.Population(3, cell_type(cell, 2, period=20))
        population.record(["spikes", "u", "y"])
        for part in parts:
            sim.run(part)
        runs.append(recorded(population, 2, 40, 1.0))
    assert_identical(*runs)


def test_input_before_the_first_step_is_thrown_away():
    setup()
    early = StateSpaceCell(tau=[[np.inf]], c_re=[[1.0]], d=[0.0], theta=[np.inf], bias=[0.0])
    population = sim.Population(1, cell_type(early, first_step=6))
    population.record(["y", "u"])
    inject_currents(population, np.ones((1, 10)), [[1.0]], first_step=1)
    sim.run(15.0)
    y = np.asarray(population.get_data().segments[0].filter(name="y")[0])[1:, 0]
    assert y.tolist() == [0.0] * 6 + [1.0, 2.0, 3.0, 4.0, 5.0] + [5.0] * 4


def test_the_threshold_is_strict_and_infinity_never_spikes():
    setup()
    cell = StateSpaceCell(
        tau=np.empty((4, 0)),
        c_re=np.empty((4, 0)),
        d=np.ones(4),
        theta=[0.5, np.nextafter(0.5, 0), np.inf, -1.0],
        bias=np.full(4, 0.5),
    )
    population = sim.Population(4, cell_type(cell))
    population.record("spikes")
    sim.run(10.0)
    assert spike_counts(population) == [0, 10, 0, 10]


@pytest.mark.parametrize("precision", ["on_grid", "off_grid"])
def test_spikes_lie_on_the_grid_in_either_precision(precision):
    sim.setup(timestep=0.1, min_delay=0.1, max_delay=1.0, spike_precision=precision)
    cell = StateSpace(d=1.0, theta=0.5)
    times = [0.5, 0.9, 1.3, 3.33]
    sources = sim.Population(1, sim.SpikeSourceArray(spike_times=[t - 1e-5 for t in times]))
    relay = sim.Population(1, cell)
    relay.record("spikes")
    sim.Projection(sources, relay, DenseConnector([[1.0]]), RawStaticSynapse(delay=0.1))
    sim.run(5.0)
    train = relay.get_data().segments[0].spiketrains[0]
    assert np.asarray(train).tolist() == pytest.approx([0.6, 1.0, 1.4, 3.5])
