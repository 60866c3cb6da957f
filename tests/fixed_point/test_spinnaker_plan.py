"""The plans: nothing overflows for any input; stored weights, the report's numbers, refusals."""

import cmath
import dataclasses
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import lowered
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of

from export.description.network import Network, Projection, Source
from export.fixed_point import simulation as spinnaker
from export.fixed_point.native import SpinnakerNativeError, scaled_cell
from export.fixed_point.report import describe_plan
from export.fixed_point.rows import mode_row, part_rows, ring_row, weight_row
from export.fixed_point.stock import StockPlan
from export.fixed_point.weights import WeightPlan, observed, worst_case
from export.lowering.network import lower
from pynn_models.cells import propagator
from pynn_models.spinnaker import (
    Arrival,
    net_input,
    ring_buffer,
    run_native,
    split_weights,
    stock_constants,
)
from pynn_models.spinnaker.fixed_point import INT32_MAX
from pynn_models.spinnaker.synapses import RING_MAX

SEEDS = st.integers(0, 2**32 - 1)


def stock_network(seed, delay=1, **changes):
    values = {"channels": 5, "depth": 2, "dt_min": 0.02, "dt_max": 0.8} | changes
    return lower(
        checkpoint_of(seed, 20, cells="stock", mode_init="s4d-real", modes=1, **values),
        delay=delay,
    )


def scaled_network(seed, **arguments):
    """A random native network whose weights, biases and thresholds span many powers of two."""
    network, rng = network_of(seed, **arguments), np.random.default_rng((seed, 5))
    projections = [
        dataclasses.replace(p, weights=p.weights * 2.0 ** rng.integers(-9, 9, p.weights.shape[1]))
        for p in network.projections
    ]
    populations = []
    for p in network.populations:
        cell = dataclasses.replace(p.cell, bias=p.cell.bias * 2.0 ** rng.integers(-9, 9, p.size))
        populations.append(dataclasses.replace(p, cell=cell))
    return dataclasses.replace(
        network, projections=tuple(projections), populations=tuple(populations)
    )


def driving(network, population, neuron, phase):
    """Spikes of every source, (1, L, pre) each, that drive a neuron's input with the signs of
    ``cos(phase[k])``: all sources that push the right way, and no others."""
    up = np.cos(phase) > 0  # (L,)
    return [
        np.where(up[:, None], p.weights[:, neuron] > 0, p.weights[:, neuron] < 0)[None]
        for p in network.incoming(population.name)
    ]


def buffers(network, population, plan, emitted):
    return [
        ring_buffer(
            [
                Arrival(spikes, plan.stored(p)[receptor])
                for spikes, p in zip(emitted, network.incoming(population.name), strict=True)
            ]
        )
        for receptor in (0, 1)
    ]


@settings(max_examples=25)
@given(SEEDS, st.booleans())
def test_no_state_overflows_whatever_the_spikes(seed, calibrated):
    """Each mode driven in resonance by all sources at once, for worst-case and calibrated plans;
    run_native raises where a state or an input leaves 32 bits."""
    network = scaled_network(seed, steps=30)
    samples = network_samples(network) * 0 if calibrated else None
    plans = spinnaker.make_plan(network, samples).populations
    for population in network.populations:
        cell, plan = population.cell, plans[population.name]
        a_re, a_im = propagator(cell.tau, cell.omega, network.timestep)
        for h in range(population.size):
            turns = np.arctan2(a_im[h], a_re[h]).tolist() or [0.0]
            for turn in turns:
                phase = turn * np.arange(network.steps)[::-1]
                for shift in (0, math.pi):
                    emitted = driving(network, population, h, phase + shift)
                    found = buffers(network, population, plan, emitted)
                    u = net_input(*found, plan.shifts)
                    total = np.abs(u.astype(np.int64) + plan.parameters.bias)
                    assert (total <= plan.input_bound * 2.0**15).all()
                    assert run_native(plan.parameters, u).overflows == 0


@settings(max_examples=25)
@given(SEEDS, st.booleans())
def test_ring_buffers_hold_every_source_and_weights_keep_their_bits(seed, stock):
    network = stock_network(seed % 100) if stock else scaled_network(seed)
    for name, plan in spinnaker.plan_network(network).populations.items():
        incoming = list(network.incoming(name))
        assert (np.log2(plan.scale) % 1 == 0).all()
        sums = np.zeros((2, network.population(name).size), np.int64)
        for projection in incoming:
            stored = plan.stored(projection)
            expected = split_weights(projection.weights * plan.scale, plan.shifts)
            for receptor in (0, 1):
                assert (stored[receptor] == expected[receptor]).all()
                sums[receptor] += stored[receptor].astype(np.int64).sum(axis=0)
            for i, j in np.ndindex(projection.weights.shape):
                w = projection.weights[i, j] * plan.scale[j]
                receptor = 0 if w > 0 else 1
                unit = 2.0 ** (plan.shifts[receptor] - 15)
                assert stored[receptor][i, j] == round(abs(w) / unit)
                assert stored[1 - receptor][i, j] == 0
        assert sums.max() <= RING_MAX
        for receptor, shift in enumerate(plan.shifts):  # the smallest: one less is too little
            if shift > 0:
                finer = [np.ldexp(p.weights * plan.scale, 16 - shift) for p in incoming]
                signed = [np.maximum((w, -w)[receptor], 0) for w in finer]
                assert sum(np.rint(w).sum(axis=0) for w in signed).max() > RING_MAX
        bias = np.abs(network.population(name).cell.bias * plan.scale)
        if not stock:  # each neuron uses its ring buffer, or half of what a bias may have
            assert ((sums.max(axis=0) > 32767 * 0.99) | (bias > 16383) | (sums == 0).all(0)).all()


def test_a_sum_that_only_rounding_makes_too_large_is_scaled_down():
    """Eight weights of 8191.75 units: 65534 in all, but 65536 as stored."""
    network = network_of(1, layers=1)
    population = network.populations[0]
    (projection,) = network.incoming(population.name)
    column = np.full((8, population.size), 8191.75 / 2)
    source = dataclasses.replace(network.source, channels=2, bits=4)
    projection = dataclasses.replace(projection, weights=column)
    others = [p for p in network.projections if p.source != source.name]
    network = dataclasses.replace(network, source=source, projections=(projection, *others))
    plan = spinnaker.plan_network(network).populations[population.name]
    assert (plan.scale == 0.5).all() and plan.shifts == (14, 0)
    assert (plan.stored(projection)[0] == 4096).all()


def test_the_loads_of_calibration_are_those_of_its_spikes():
    rng = np.random.default_rng(0)
    spikes = [(rng.random((3, 7, n)) < 0.4).astype(np.uint8) for n in (4, 9)]
    projections = [Projection(f"layer{n}", "target", np.zeros((n, 5)), 1) for n in (4, 9)]
    matrices = [rng.integers(0, 99, (n, 5)).astype(float) for n in (4, 9)]
    largest = [max(m[:, j].max() for m in matrices) for j in range(5)]
    for b, k, j in np.ndindex(3, 7, 5):
        here = sum(float(s[b, k] @ m[:, j]) for s, m in zip(spikes, matrices, strict=True))
        largest[j] = max(largest[j], here)
    emitted = dict(zip(("layer4", "layer9"), spikes, strict=True))
    assert observed(emitted)(projections, matrices).tolist() == largest


def test_the_load_of_all_inputs_is_what_one_step_can_bring():
    """Every source at once; of symbols, which come one a step, the largest weight."""
    rng = np.random.default_rng(1)
    names, matrices = ("input", "layer0"), [rng.random((4, 5)), rng.random((9, 5))]
    projections = [
        Projection(n, "target", m, 1) for n, m in zip(names, matrices, strict=True)
    ]
    for source, first in (
        (Source("input", "bits", 2, 2), matrices[0].sum(axis=0)),
        (Source("input", "token", 1, 0, 4), matrices[0].max(axis=0)),
    ):
        found = worst_case(source)(projections, matrices)
        assert np.allclose(found, first + matrices[1].sum(axis=0), rtol=1e-15)


@pytest.mark.parametrize("stock", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_calibrated_plan_holds_its_samples_and_gives_weights_more_bits(seed, stock, recwarn):
    if stock:
        network = stock_network(seed, channels=24)
        samples = samples_of(checkpoint_of(seed, 20), 4)
    else:
        checkpoint = checkpoint_of(seed, 20, channels=24)
        network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    plan = spinnaker.calibrate(network, samples)
    spinnaker.run(network, samples, plan=plan, allow_overflow=True)
    assert not [w for w in recwarn if w.category is spinnaker.SaturationWarning]
    bounded = spinnaker.plan_network(network).populations
    gains = [
        2.0 ** (np.array(bounded[name].shifts) - np.array(found.shifts)).max()
        * (found.scale / bounded[name].scale).max()
        for name, found in plan.populations.items()
    ]
    assert min(gains) >= 1 and max(gains) >= 2


def overflowing(seed=1):
    """A network, its plan for silence, and loud samples."""
    checkpoint = checkpoint_of(seed, 20, channels=24, input_bits=8)
    network, samples = lower(checkpoint), samples_of(checkpoint, 2)
    return network, spinnaker.calibrate(network, samples * 0), samples * 0 + 255


def test_a_plan_that_can_overflow_is_refused_with_its_place_and_amount():
    network, plan, samples = overflowing()
    with pytest.raises(spinnaker.PlanOverflowError) as error:
        spinnaker.run(network, samples, plan=plan)
    name, neuron = "layer0", None
    for row in str(error.value).split(","):
        if row.startswith(" neuron "):
            neuron = int(row.split()[1].rstrip(":"))
    found = plan.populations[name]
    sums = [
        sum(found.stored(p)[r].astype(int)[:, neuron].sum() for p in network.incoming(name))
        for r in (0, 1)
    ]
    text = str(error.value)
    assert f"{name!r}, neuron {neuron}" in text and f"receives {max(sums)}" in text
    assert f"{max(sums) / 65535:.3g} times" in text and "allow overflow" in text


@pytest.mark.parametrize("sign", [1, -1])
def test_overflow_that_was_asked_for_saturates_and_is_told(sign):
    network, _, samples = overflowing()
    projections = tuple(
        dataclasses.replace(p, weights=sign * np.abs(p.weights)) for p in network.projections
    )
    network = dataclasses.replace(network, projections=projections)
    plan = spinnaker.calibrate(network, samples * 0)
    with pytest.warns(spinnaker.SaturationWarning, match="layer0"):
        spinnaker.run(network, samples, plan=plan, allow_overflow=True)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [spinnaker.plan_network, lambda n: spinnaker.calibrate(n, None)])
def test_currents_are_refused_with_the_remedy(make):
    network = network_of(1, encoding="current")
    with pytest.raises(spinnaker.SpinnakerInputError, match=r"'input'.*Export.*--input bits"):
        make(network)
    real = dataclasses.replace(network, source=dataclasses.replace(network.source, bits=0))
    with pytest.raises(spinnaker.SpinnakerInputError, match=r"--input bits and --data, the"):
        make(real)


def test_a_readout_beyond_every_scaling_is_refused_by_name():
    network = network_of(1)
    first = network.populations[0]
    cell = dataclasses.replace(first.cell, d=first.cell.d * 1e150)
    changed = (dataclasses.replace(first, cell=cell), *network.populations[1:])
    with pytest.raises(SpinnakerNativeError, match=r"population 'layer0': .*neuron"):
        spinnaker.plan_network(dataclasses.replace(network, populations=changed))


def test_a_scaled_cell_is_the_same_neuron():
    cell = network_of(3).populations[0].cell
    scale = 2.0 ** np.arange(cell.n_neurons)
    scaled = scaled_cell(cell, scale)
    assert (scaled.bias == cell.bias * scale).all() and (scaled.d * scale == cell.d).all()
    assert (scaled.c_re * scale[:, None] == cell.c_re).all()
    assert (scaled.tau == cell.tau).all() and (scaled.theta == cell.theta).all()


# --- the report ---------------------------------------------------------------------------------


def coarse(network):
    """A plan that loses weights: scales divided by 2^9."""
    plans = spinnaker.plan_network(network).populations
    return {
        name: WeightPlan(plan.scale / 2.0**9, plan.shifts) for name, plan in plans.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_of_the_report(seed):
    network = lower(checkpoint_of(seed, channels=12))
    for plans in (spinnaker.plan_network(network).populations, coarse(network)):
        for projection in network.projections:
            plan = plans[projection.target]
            row = weight_row(projection, plan)
            zero, bits = 0, []
            for j in range(projection.weights.shape[1]):
                signal = error = 0.0
                for w in projection.weights[:, j].tolist():
                    unit = 2.0 ** (plan.shifts[0 if w > 0 else 1] - 15) / plan.scale[j]
                    stored = round(abs(w) / unit)
                    zero += w != 0 and stored == 0
                    signal += w * w
                    error += (stored * unit - abs(w)) ** 2
                if signal:
                    bits.append(math.log2(signal / error) / 2 if error else math.inf)
            assert (row.zero, row.saturated, row.shifts) == (zero, 0, plan.shifts)
            assert row.bits_least == pytest.approx(min(bits))
            assert row.bits_median == pytest.approx(statistics.median(bits))
            assert row.synapses == projection.weights.size


def test_a_projection_without_error_or_without_weights_is_exact():
    network = network_of(2)
    plan = spinnaker.plan_network(network)
    projection = next(iter(network.incoming("layer0")))
    assert weight_row(projection, plan.populations["layer0"]).bits_least == math.inf
    empty = dataclasses.replace(projection, weights=projection.weights * 0)
    assert weight_row(empty, plan.populations["layer0"]).bits_least == math.inf


@pytest.mark.parametrize(("delay", "slots"), [(1, 2), (2, 2), (3, 4), (17, 32)])
def test_the_slots_of_the_report_cover_the_longest_delay(delay, slots):
    network = network_of(3)
    layer = network.population("layer0")
    each = np.ones((layer.size, layer.size), int)
    each[0, -1] = delay
    own = Projection("layer0", "layer0", np.ones(each.shape), each)
    network = dataclasses.replace(network, projections=(*network.projections, own))
    plan = spinnaker.plan_network(network).populations["layer0"]
    assert ring_row(network, layer, plan).slots == slots


def test_the_ring_buffers_of_the_report():
    network, plan, _ = overflowing()
    for name, found in plan.populations.items():
        row = ring_row(network, network.population(name), found)
        sums = np.array(
            [
                sum(found.stored(p)[r].astype(int).sum(axis=0) for p in network.incoming(name))
                for r in (0, 1)
            ]
        )
        assert row.load == pytest.approx(tuple(sums.max(axis=1) / 65535))
        assert row.can_saturate == sum(max(pair) > 65535 for pair in sums.T.tolist())
        assert row.scales == (math.log2(found.scale.min()), math.log2(found.scale.max()))
    assert row.neurons == network.populations[-1].size


@pytest.mark.parametrize("stock", [False, True])
def test_the_modes_of_the_report(stock):
    network = stock_network(4) if stock else lower(checkpoint_of(4, channels=5))
    plans = spinnaker.plan_network(network).populations
    for name, plan in plans.items():
        population = network.population(name)
        row = mode_row(network, population, plan)
        radii, angles, reaches = {}, {}, []
        for h, n in np.ndindex(population.cell.tau.shape):
            found, largest = board_mode(network, population, plan, h, n)
            omega = 0.0 if population.cell.omega is None else population.cell.omega[h, n]
            pole = cmath.exp(-1 / population.cell.tau[h, n] + 1j * omega)
            radii[h, n] = abs(abs(found) - abs(pole))
            angles[h, n] = abs(cmath.phase(found / pole))
            reaches.append(math.log2(largest * sum(abs(pole) ** k for k in range(network.steps))))
        assert row.radius_drift == pytest.approx(max(radii.values()), abs=1e-15)
        assert row.angle_drift == pytest.approx(max(angles.values()), abs=1e-15)
        assert radii[row.radius_worst] == pytest.approx(row.radius_drift, abs=1e-15)
        assert angles[row.angle_worst] == pytest.approx(row.angle_drift, abs=1e-15)
        assert row.reach == pytest.approx((min(reaches), max(reaches)), abs=1e-6)
        assert row.headroom == pytest.approx(31 - max(reaches), abs=1e-6)
        assert 0 <= row.headroom < 12
        assert row.modes == population.cell.tau.size


def board_mode(network, population, plan, h, n):
    """A mode's pole on the board, and its largest input in units of its state's last place."""
    sums = [
        sum(int(plan.stored(p)[r][:, h].sum()) for p in network.incoming(population.name))
        << plan.shifts[r]
        for r in (0, 1)
    ]
    if isinstance(plan, StockPlan):
        constants = stock_constants(plan.cell, network.timestep)
        largest = max(s * int(i) / 2**32 for s, i in zip(sums, constants.init[:, h], strict=True))
        return int(constants.dec[0, h]) / 2**32, largest
    p = plan.parameters
    bias = int(p.bias[h])
    largest = max(abs(sums[0] + bias), abs(sums[1] - bias))
    assert largest <= INT32_MAX
    re, im = int(p.a_re[h, n]), 0 if p.a_im is None else int(p.a_im[h, n])
    return complex(re, im) / 2**31, largest * 2.0 ** ((int(p.c_re[h, n]) & 31) - 31)


def test_a_population_without_modes_has_no_row():
    network: Network = network_of(0)
    for population in network.populations:
        plan = spinnaker.plan_network(network).populations[population.name]
        row = mode_row(network, population, plan)
        assert (row is None) == (population.cell.n_modes == 0)


@pytest.mark.parametrize("kind", ["soft reset of real modes", "history", "glu with reset"])
def test_the_report_of_resets_and_histories(kind):
    """Bits by the definition, of the constants that the board has, a neuron at a time."""
    _, network, _ = lowered(kind, 1)
    plan = spinnaker.plan_network(network)
    name, population = "layer1", network.population("layer1")
    (row,) = part_rows(population, plan.populations[name])
    cell, p = population.cell, plan.populations[name].parameters
    p = getattr(p, "cell", p)
    bits, scale = [], plan.populations[name].scale
    for h in range(cell.n_neurons):
        if cell.history is not None:
            wanted = cell.history.a[h].tolist()
            held = [a / 2.0 ** (15 + int(p.membrane_exponent[h])) for a in p.history[h].tolist()]
        else:
            r_im = [0.0] * cell.n_modes if p.reset.r_im is None else p.reset.r_im[h].tolist()
            exact = [0.0] * cell.n_modes if cell.reset.r_im is None else cell.reset.r_im[h].tolist()
            wanted = [*cell.reset.r_re[h].tolist(), *exact]
            units = [2.0 ** (15 + int(s)) * scale[h] for s in p.state_exponent[h]] * 2
            held = [r / u for r, u in zip([*p.reset.r_re[h].tolist(), *r_im], units, strict=True)]
        error = sum((a - b) ** 2 for a, b in zip(held, wanted, strict=True))
        bits.append(math.log2(sum(a * a for a in wanted) / error) / 2 if error else math.inf)
    assert row.bits_least == pytest.approx(min(bits)) and row.bits_least > 20
    assert row.bits_median == pytest.approx(statistics.median(bits))
    part = "history" if kind == "history" else "soft reset"
    assert (row.population, row.part, row.zero) == (name, part, 0)
    assert row.constants == (cell.history.a if part == "history" else cell.tau).size
    text = describe_plan(network, plan)
    assert part in text and "spikes act back" in text
    assert "spikes act back" not in describe_plan(lower(checkpoint_of(1)), plan_of_plain())


def plan_of_plain():
    return spinnaker.plan_network(lower(checkpoint_of(1)))


def test_a_constant_too_small_for_its_unit_is_counted():
    _, network, _ = lowered("soft reset", 1)
    first = network.populations[0]
    r = np.array(first.cell.reset.r_re)
    r[0] *= 1e-12
    reset = dataclasses.replace(first.cell.reset, r_re=r)
    first = dataclasses.replace(first, cell=dataclasses.replace(first.cell, reset=reset))
    network = dataclasses.replace(network, populations=(first, *network.populations[1:]))
    found = spinnaker.plan_network(network).populations[first.name]
    assert (found.parameters.reset.r_re[0] == 0).all()
    (row,) = part_rows(first, found)
    assert row.zero == 0  # its imaginary part is left
    (reach,) = (m for m in [mode_row(network, first, found)])
    assert 0 <= reach.headroom < 2  # what a reset takes counts among what a state holds


@pytest.mark.parametrize("stock", [False, True])
def test_the_tables_name_everything(stock):
    network = stock_network(1) if stock else lower(checkpoint_of(1))
    text = describe_plan(network, spinnaker.plan_network(network))
    for projection in network.projections:
        shown = f"{projection.source} -> {projection.target}" in text
        assert shown == (not stock or projection.target != "readout")
    assert "for all inputs in range: states never overflow, ring buffers neither" in text
    assert ("on the host" in text) == stock
    network, plan, _ = overflowing()
    text = describe_plan(network, plan)
    assert "for the calibration samples" in text and "neuron(s) may" in text
