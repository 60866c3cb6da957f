"""The NEST neuron and its projections against a plain reference: every bit of u, y and spikes.

Weights and currents lie on a dyadic grid (multiples of 2**-20), so that NEST may add up the
spikes of a step in any order; modes, biases and thresholds are any numbers.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nest", reason="nest-simulator is not installed")
sim = pytest.importorskip("pyNN.nest", reason="PyNN is not installed")

import nest  # noqa: E402
from nest_reference import (  # noqa: E402
    Reference,
    assert_identical,
    dyadic,
    recorded,
    setup,
    spike_sources,
)
from pyNN.parameters import ArrayParameter  # noqa: E402

from pynn_models import PARAMETERS, CellParameterError, StateSpaceCell  # noqa: E402
from pynn_models.nest import (  # noqa: E402
    DenseConnector,
    ModuleLoadError,
    ProjectionError,
    RawStaticSynapse,
    StateSpace,
    cell_type,
    inject_currents,
    install,
    projection_weights,
)

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def random_cell(rng, n_neurons, n_modes, is_complex=True):
    modes = (n_neurons, n_modes)
    scale = 1.0 / max(1, n_modes)
    rotation = (
        {"omega": rng.uniform(-2, 2, modes), "c_im": rng.normal(size=modes) * scale}
        if is_complex
        else {}
    )
    return StateSpaceCell(
        tau=rng.uniform(0.5, 40, modes),
        c_re=rng.normal(size=modes) * scale,
        d=rng.normal(size=n_neurons),
        theta=rng.normal(size=n_neurons) * 0.3,
        bias=rng.normal(size=n_neurons) * 0.1,
        **rotation,
    )


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


def spike_counts(population):
    # Not get_spike_counts(): it counts beyond the end of the run, where PyNN is min_delay ahead.
    return [len(train) for train in population.get_data().segments[0].spiketrains]


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
    # A process of its own: the number of OpenMP threads and their waiting are set at the start.
    code = "import test_nest_module as t; print('spikes', t.check_network(threads=2))"
    environment = os.environ | {
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert f"spikes {check_network()}" in result.stdout


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


@pytest.mark.parametrize("steps", [-1, 2.5, "3"])
def test_first_step_and_period_are_whole_numbers_of_steps(steps):
    cell = random_cell(np.random.default_rng(0), 2, 1)
    with pytest.raises(CellParameterError, match="first_step is .* expected an integer"):
        cell_type(cell, first_step=steps)
    with pytest.raises(CellParameterError, match="period is .* expected an integer"):
        cell_type(cell, period=steps)


def test_plain_pynn_use_and_parameters():
    setup()
    one = StateSpace(tau=ArrayParameter([5.0, 6.0]), c_re=ArrayParameter([1.0, -1.0]), d=0.25)
    population = sim.Population(3, one)
    assert population.get("d") == 0.25 and population.get("theta") == 1.0
    assert population.get("tau").value.tolist() == [5.0, 6.0]
    population.set(tau=[ArrayParameter([i + 1.0, i + 2.0]) for i in range(3)], bias=[1, 2, 3])
    assert [row.value.tolist() for row in population.get("tau")] == [[1, 2], [2, 3], [3, 4]]
    population[0:2].set(theta=7.0)
    assert population.get("theta").tolist() == [7.0, 7.0, 1.0]
    assert population.get("bias").tolist() == [1.0, 2.0, 3.0]


def test_state_is_readable_and_settable_between_runs():
    setup()
    cell = StateSpaceCell(tau=[[np.inf]], c_re=[[2.0]], d=[0.0], theta=[np.inf], bias=[1.0])
    population = sim.Population(1, cell_type(cell))
    sim.run(3.0)
    nodes = population.node_collection
    kernel_steps = nodes.get("x_re")[0]
    assert nodes.get("y") == 2.0 * kernel_steps
    nodes.set(x_re=[100.0])
    sim.run(1.0)
    assert nodes.get("x_re")[0] == 101.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": [1.0, 0.0]}, r"tau\[1\] is 0 ms, expected > 0"),
        ({"tau": [1.0, math.nan]}, r"tau\[1\] is nan"),
        ({"tau": [1.0]}, "c_re has 2 elements, expected 1"),
        ({"c_im": [0.0, 0.0]}, "c_im has 2 elements, expected 0"),
        ({"omega": [0.0, 0.0]}, "c_im has 0 elements, expected 2"),
        ({"omega": [0.0], "c_im": [0.0]}, "omega has 1 elements, expected 2"),
        ({"omega": [0.0, math.inf], "c_im": [0.0, 0.0]}, r"omega\[1\] is inf"),
        ({"c_re": [math.nan, 0.0]}, r"c_re\[0\] is nan, expected a finite number"),
        ({"d": math.nan}, "d is nan"),
        ({"bias": math.inf}, "bias is inf"),
        ({"theta": math.nan}, "theta is nan, expected a number or inf"),
        ({"theta": -math.inf}, "theta is -inf"),
        ({"first_step": -1}, "first_step is -1, expected a number of steps >= 0"),
        ({"period": -2}, "period is -2"),
        ({"x_re": [1.0]}, "x_re has 1 elements, expected 2"),
        ({"x_re": [1.0, math.nan]}, r"x_re\[1\] is nan"),
        ({"value_bias": [1.0]}, "gate_bias has 0 elements, expected 1"),
        ({"value_bias": [1.0], "gate_bias": [1.0], "gain": [1.0]}, "gain has 1 elements, expec"),
        ({"value_bias": [1.0], "gate_bias": [1.0], "shift": [1.0]}, "gain has 0 elements, expec"),
        ({"gate_bias": [1.0]}, "gate_bias has 1 elements, expected 0"),
        ({"value_bias": [math.nan], "gate_bias": [1.0]}, r"value_bias\[0\] is nan"),
        ({"value_bias": [1.0], "gate_bias": [math.inf]}, r"gate_bias\[0\] is inf"),
        ({"slope": 1.0}, "slope"),
    ],
)
def test_nest_refuses_bad_parameters_and_keeps_the_old(change, message):
    setup()
    node = nest.Create("snn_ssm_state_space", params={"tau": [1.0, 2.0], "c_re": [1.0, 1.0]})
    before = node.get()
    with pytest.raises(nest.NESTError, match=message):
        node.set(**change)
    after = node.get()
    for name in (*PARAMETERS, "x_re", "x_im"):
        assert np.array_equal(before[name], after[name]), name


def test_a_second_receptor_is_refused():
    setup()
    nodes = nest.Create("snn_ssm_state_space", 2)
    with pytest.raises(nest.NESTError, match="Receptor type 1 is not available"):
        nest.Connect(nodes, nodes, syn_spec={"receptor_type": 1})


def test_resolution_may_change_after_the_module_is_loaded():
    nest.ResetKernel()
    install()
    nest.resolution = 0.5
    node = nest.Create(
        "snn_ssm_state_space",
        params={"tau": [2.0], "c_re": [1.0], "bias": 1.0, "theta": math.inf},
    )
    nest.Simulate(1.0)
    assert node.get("y") == math.exp(-0.5 / 2.0) * 1.0 + 1.0


def test_every_setup_unloads_the_module_and_a_cell_type_loads_it_again():
    for _ in range(3):
        sim.setup(timestep=1.0, spike_precision="on_grid")
        assert "snn_ssm_state_space" not in nest.node_models
        population = sim.Population(2, StateSpace(bias=2.0, d=1.0))
        population.record("spikes")
        sim.run(4.0)
        assert spike_counts(population) == [4, 4]


def test_too_late_is_said_so():
    sim.setup(timestep=1.0)
    sim.Population(1, sim.IF_curr_exp())
    with pytest.raises(ModuleLoadError, match=r"install\(\) right after sim.setup\(\)"):
        StateSpace()


def test_a_cell_type_from_before_setup_is_said_so():
    setup()
    old = StateSpace()
    sim.setup(timestep=1.0)
    with pytest.raises(ModuleLoadError, match="which unloads all modules"):
        sim.Population(1, old)


# --- projections ------------------------------------------------------------------------------


def population(n_neurons, label):
    return sim.Population(n_neurons, StateSpace(), label=label)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5)])
def test_weights_read_back_equal(shape):
    setup()
    matrix = np.random.default_rng(0).normal(size=shape)
    projection = sim.Projection(
        population(shape[0], "a"),
        population(shape[1], "b"),
        DenseConnector(matrix),
        RawStaticSynapse(),
    )
    assert len(projection) == matrix.size
    assert (projection_weights(projection) == matrix).all()
    assert projection.get("weight", "array") * 1000 == pytest.approx(matrix, rel=1e-12)
    assert (projection.get("delay", "array") == 1.0).all()


def test_weights_of_projections_do_not_mix():
    setup()
    a, b = population(3, "a"), population(3, "b")
    matrices = [np.full((3, 3), float(i)) for i in range(4)]
    pairs = [(a, b), (a, b), (b, a), (a, a)]
    made = [
        sim.Projection(*pair, DenseConnector(matrix), RawStaticSynapse())
        for pair, matrix in zip(pairs, matrices, strict=True)
    ]
    for projection, matrix in zip(made, matrices, strict=True):
        assert (projection_weights(projection) == matrix).all()


def test_views_can_be_connected():
    setup()
    a, b = population(5, "a"), population(6, "b")
    matrix = np.random.default_rng(0).normal(size=(2, 3))
    projection = sim.Projection(a[1:3], b[0:6:2], DenseConnector(matrix), RawStaticSynapse())
    assert (projection_weights(projection) == matrix).all()


def test_read_back_of_pynns_own_connectors():
    setup()
    projection = sim.Projection(
        population(3, "a"),
        population(3, "b"),
        sim.OneToOneConnector(),
        RawStaticSynapse(weight=-0.3),
    )
    expected = np.where(np.eye(3, dtype=bool), -0.3, np.nan)
    assert np.array_equal(projection_weights(projection), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 2)), r"a -> b: weights have shape \(3, 2\), .* = \(2, 3\). Transpose"),
        (np.ones((2, 2)), "Give one row a presynaptic neuron"),
    ],
)
def test_weights_of_a_wrong_shape(weights, message):
    setup()
    with pytest.raises(ProjectionError, match=message):
        sim.Projection(
            population(2, "a"), population(3, "b"), DenseConnector(weights), RawStaticSynapse()
        )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0, math.nan]], r"weights\[0\]\[1\] is nan, expected a finite number; 1 of 2"),
        ([1.0, 2.0], r"shape \(2,\), expected two dimensions"),
        ([[1.0], [1.0, 2.0]], "no real numbers"),
        ([[1j]], "no real numbers"),
    ],
)
def test_weights_that_are_no_matrix_of_numbers(weights, message):
    with pytest.raises(ProjectionError, match=message):
        DenseConnector(weights)


def test_a_scaling_synapse_is_refused():
    setup()
    with pytest.raises(ProjectionError, match="StaticSynapse, expected RawStaticSynapse or Graded"):
        sim.Projection(
            population(1, "a"), population(1, "b"), DenseConnector([[1.0]]), sim.StaticSynapse()
        )


@pytest.mark.parametrize("delay", [0.0, -1.0, 1.5, 41.0, math.nan])
def test_a_delay_outside_the_setup_is_refused(delay):
    setup()
    with pytest.raises(ProjectionError, match=r"min_delay 1.0 ms to max_delay 40.0 ms"):
        sim.Projection(
            population(1, "a"),
            population(1, "b"),
            DenseConnector([[1.0]]),
            RawStaticSynapse(delay=delay),
        )


def test_delays_that_differ_are_refused():
    setup()
    synapse = RawStaticSynapse(delay=[1.0, 2.0])
    with pytest.raises(ProjectionError, match="Make one projection a delay"):
        sim.Projection(population(1, "a"), population(2, "b"), DenseConnector([[1, 1]]), synapse)


@pytest.mark.parametrize(
    ("currents", "weights", "options", "message"),
    [
        (np.ones((2, 5)), np.ones((3, 2)), {}, r"= \(2, 3\), since currents have shape \(2, 5\)"),
        (np.ones((2, 5)), np.ones((2, 3)), {"first_step": 0}, "first_step is 0, expected at least"),
        (np.ones((0, 5)), np.ones((0, 3)), {}, "expected .* with C >= 1 channels"),
        ([[math.inf]], np.ones((1, 3)), {}, r"layer: currents\[0\]\[0\] is inf"),
        (np.ones((1, 5)), [[1, 1, math.nan]], {}, r"layer: weights\[0\]\[2\] is nan"),
        (np.ones((1, 5)), np.ones((1, 3)), {"delay": 50.0}, "delay is 50.0 ms"),
    ],
)
def test_current_input_that_does_not_fit(currents, weights, options, message):
    setup()
    with pytest.raises(ProjectionError, match=message):
        inject_currents(population(3, "layer"), currents, weights, **({"first_step": 1} | options))
