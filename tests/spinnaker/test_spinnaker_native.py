"""The native cell in integers: against an independent scalar one, against float64, its refusals."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cell_parts import parts_of
from support.drawn_cell import (
    RESETS,
    cell_of,
    random_parameters,
    random_state,
    with_random_parts,
)
from support.spinnaker_reference import Slots, native_neuron

from export.software.simulation import run_cell
from pynn_models import History, Reset, StateSpaceCell
from pynn_models.spinnaker import (
    Arrival,
    FixedPointError,
    NativeScaling,
    StateOverflowError,
    net_input,
    neuron_words,
    plan_scaling,
    quantise_cell,
    ring_buffer,
    run_native,
    state_reach,
)
from pynn_models.spinnaker.rounding import rounding_error


def scalar_neurons(p, state=None, b=0):
    return [native_neuron(p, h, state, b) for h in range(p.n_neurons)]


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 5), st.booleans(),
    st.integers(0, 9), st.integers(0, 7), st.integers(0, 9), st.sampled_from([6, 16, 31]),
    st.sampled_from(RESETS), st.sampled_from([0, 0, 1, 3, 32]),
)  # fmt: skip
def test_random_cells_equal_the_scalar_model(
    seed, size, modes, rotating, first_step, period, tick, bits, reset, history
):
    """Wrapping included: states anywhere, inputs up to 31 bits, poles on the circle, any r and a.
    """
    rng = np.random.default_rng(seed)
    p = with_random_parts(rng, random_parameters(rng, size, modes, rotating), reset, history)
    initial = random_state(rng, p, 2)
    u = rng.integers(-(2**bits), 2**bits, (2, 12, size)).astype(np.int32)
    clock = {"first_step": first_step, "period": period}
    run = run_native(
        p, u, **clock, tick=tick, initial=initial, membrane=True, allow_overflow=True
    )
    overflows = 0
    for b in range(2):
        neurons = scalar_neurons(p, initial, b)
        for t in range(12):
            results = [
                n.tick(int(u[b, t, h]), tick + t, **clock) for h, n in enumerate(neurons)
            ]
            assert run.spikes[b, t].tolist() == [spike for spike, _ in results]
            assert run.membrane[b, t].tolist() == [y for _, y in results]
            overflows += sum(n.wrapped for n in neurons)
        ends = [n.x for n in neurons]
        assert run.state.x_re[b].tolist() == [[re for re, _ in x] for x in ends]
        assert run.state.x_im[b].tolist() == [[im for _, im in x] for x in ends]
        if reset != "none":
            assert run.state.rest[b].tolist() == [n.rest for n in neurons]
        if history:
            kept = [sum(above << j for j, above in enumerate(n.before)) for n in neurons]
            assert run.state.before[b].tolist() == kept
    assert run.overflows == overflows


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_two_layers_with_delays_equal_the_scalar_model(seed, delay, skip, rotating):
    """Spikes of both kinds over ring buffers that saturate, a second layer that starts later."""
    rng = np.random.default_rng(seed)
    steps, sizes, shifts = 25, (4, 3, 2), ((3, 1), (0, 5))
    cells = [random_parameters(rng, n, 3, rotating) for n in sizes[1:]]
    links = {(0, 1): delay, (1, 2): delay, (0, 2): skip}
    weights = {
        link: rng.integers(0, 65536, (2, sizes[link[0]], sizes[link[1]])).astype(np.uint16)
        for link in links
    }
    emitted = [rng.random((1, steps, sizes[0])) < 0.4]
    traces = []
    for layer in (1, 2):
        buffers = [
            ring_buffer(
                [
                    Arrival(emitted[i], weights[i, j][kind], links[i, j])
                    for i, j in links
                    if j == layer
                ]
            )
            for kind in (0, 1)
        ]
        u = net_input(*buffers, shifts[layer - 1])
        first = delay * layer
        run = run_native(
            cells[layer - 1], u, first_step=first, membrane=True, allow_overflow=True
        )
        emitted.append(run.spikes)
        traces.append(run.membrane)
    slots = {layer: [Slots(sizes[layer], steps) for _ in (0, 1)] for layer in (1, 2)}
    neurons = [scalar_neurons(c) for c in cells]
    for t in range(steps):
        for layer, n in enumerate(sizes):
            fired = emitted[0][0, t].tolist()
            if layer:
                exc, inh = (s.rows[t] for s in slots[layer])
                r = shifts[layer - 1]
                results = [
                    neurons[layer - 1][h].tick(
                        (exc[h] << r[0]) - (inh[h] << r[1]), t, delay * layer
                    )
                    for h in range(n)
                ]
                fired = [spike for spike, _ in results]
                assert emitted[layer][0, t].tolist() == fired
                assert traces[layer - 1][0, t].tolist() == [y for _, y in results]
            for (i, j), d in links.items():
                for h in np.flatnonzero(fired) if i == layer else ():
                    for kind in (0, 1):
                        slots[j][kind].add(t + d, weights[i, j][kind, h].tolist())


@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 16), st.booleans(), st.floats(0.01, 300),
    st.sampled_from([0.5, 1.0]),
)  # fmt: skip
def test_a_planned_cell_stays_in_range_and_near_float64(seed, modes, rotating, bound, dt):
    """The worst constant input of either sign overflows nothing; random ones agree closely."""
    rng = np.random.default_rng(seed)
    cell = cell_of(rng, 5, modes, rotating)
    steps = 400
    total = bound + np.abs(cell.bias)
    scaling = plan_scaling(cell, dt, input_bound=total, steps=steps)
    p = quantise_cell(cell, dt, scaling)
    unit = 2.0 ** (15 + scaling.input_exponent)
    u = rng.uniform(-bound, bound, (4, steps, 5)) * (rng.random((4, steps, 5)) < 0.3)
    u[0], u[1] = bound, -bound
    integers = np.trunc(u * unit).astype(np.int32)
    run = run_native(p, integers, membrane=True)
    assert run.overflows == 0
    _, exact = run_cell(cell, integers / unit + cell.bias, dt, membrane=True)
    y = run.membrane / 2.0 ** (15 + p.membrane_exponent)
    assert np.abs(y - exact).max() <= 3e-6 * np.abs(exact).max() + 2.0**-14


@pytest.mark.parametrize("rotating", [True, False])
def test_a_reset_at_every_step_reaches_its_bound_and_stays_in_range(rotating):
    """The worst: each spike adds what the input does, both in the direction of the state."""
    rng = np.random.default_rng(rotating)
    shape, bound, steps = (3, 2), 2.0, 300
    r = -rng.uniform(0.2, 5, shape)
    reset = Reset(r_re=r, r_im=np.zeros(shape) if rotating else None)
    omega = np.zeros(shape) if rotating else None
    cell = cell_of(
        rng, 3, 2, rotating, tau=rng.uniform(2, 200, shape), omega=omega, theta=np.full(3, -1e4),
        bias=np.zeros(3), c_re=np.full(shape, 1e-3), d=np.zeros(3), reset=reset,
    )
    scaling = plan_scaling(cell, 1.0, input_bound=bound, steps=steps)
    p = quantise_cell(cell, 1.0, scaling)
    drive = math.floor(math.ldexp(bound, 15 + scaling.input_exponent))
    run = run_native(p, np.full((1, steps, 3), drive, np.int32))
    assert run.spikes.all() and run.overflows == 0
    reach = state_reach(cell, 1.0, steps, np.full(3, bound))
    reached = run.state.x_re[0] / 2.0 ** (15 + scaling.state_exponent)  # after the last spike
    assert (reached <= reach).all() and (reached > 0.99 * reach).all()
    assert (np.abs(run.state.x_re[0]) > 2**29).all()


@pytest.mark.parametrize("part", ["soft", "hard", "history", "both"])
def test_optional_parts_are_those_of_the_cell(part):
    """The float64 cell on the same input: every spike, and membranes closely, while none differs.
    """
    rng = np.random.default_rng(11)
    cell = cell_of(rng, 6, 3, theta=rng.uniform(0.5, 1.5, 6))
    parts = {"soft": ("soft", 0), "hard": ("hard", 0), "history": ("none", 4), "both": ("soft", 2)}
    kind, steps = parts[part]
    cell = replace(cell, **parts_of(rng, cell, kind, refractory=2, history=steps))
    scaling = plan_scaling(cell, 1.0, input_bound=2 + np.abs(cell.bias), steps=80)
    p = quantise_cell(cell, 1.0, scaling)
    unit = 2.0 ** (15 + scaling.input_exponent)
    u = np.rint(rng.uniform(-1, 2, (3, 80, 6)) * unit).astype(np.int32)
    run = run_native(p, u, membrane=True)
    spikes, exact = run_cell(cell, u / unit + p.bias / unit, 1.0, membrane=True)
    assert (run.spikes == spikes).all() and 0.02 < spikes.mean() < 0.9
    assert np.abs(run.membrane / 2.0 ** (15 + p.membrane_exponent) - exact).max() < 1e-5


def test_a_hard_reset_holds_the_modes_at_0_and_shows_the_input_alone():
    cell = StateSpaceCell(
        tau=[[50.0]], c_re=[[1.0]], d=[0.25], theta=[1.0], bias=[0.0], reset=Reset(refractory=2)
    )
    p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=2.0, steps=10))
    one = round(2.0 ** (15 + p.input_exponent))
    run = run_native(p, np.full((1, 7, 1), one, np.int32), membrane=True)
    y = run.membrane[0, :, 0] / 2.0 ** (15 + p.membrane_exponent[0])
    assert run.spikes[0, :, 0].tolist() == [True, False, False, True, False, False, True]
    assert y == pytest.approx([1.25, 0.25, 0.25, 1.25, 0.25, 0.25, 1.25], abs=1e-6)


def test_a_silent_neuron_has_no_history_to_overflow_it():
    """theta = inf becomes 2^31 - 1, whatever its history adds."""
    cell = cell_of(
        np.random.default_rng(0), 2, 1, theta=[np.inf, 0.5], history=History(a=[[9.0], [9.0]])
    )
    p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=4.0, steps=20))
    run = run_native(p, np.full((1, 20, 2), 4 << 15, np.int32), allow_overflow=True)
    assert not run.spikes[0, :, 0].any() and (run.state.before[0, 0] == 0)


def test_pieces_equal_the_whole():
    rng = np.random.default_rng(3)
    cell = cell_of(rng, 4, 3)
    cell = replace(cell, **parts_of(rng, cell, "soft", refractory=2, history=3))
    scaling = plan_scaling(cell, 1.0, input_bound=4.0, steps=90, input_exponent=3)
    p = quantise_cell(cell, 1.0, scaling)
    u = rng.integers(-(2**19), 2**19, (3, 90, 4)).astype(np.int32)
    clock = {"first_step": 5, "period": 20, "membrane": True}
    whole = run_native(p, u, **clock)
    state, parts = None, []
    for start in range(0, 90, 30):
        part = run_native(p, u[:, start : start + 30], tick=start, initial=state, **clock)
        state = part.state
        parts.append(part.membrane)
    assert (np.concatenate(parts, axis=1) == whole.membrane).all()
    for part, all_of_it in zip(state, whole.state, strict=True):
        assert (part == all_of_it).all()
    assert whole.state.rest.any() and whole.state.before.any() and whole.spikes.any()
    fresh = run_native(p, u[:, 45:65], membrane=True)
    assert (fresh.membrane == whole.membrane[:, 45:65]).all()  # k % 20 == 0 at ticks 45, 65


def test_thresholds_are_strict_and_infinite_ones_silent():
    """No modes, d = 1: y is u; theta lies on the grid, or between two of its points."""
    thetas = [0.5, 0.5 + 0.75 * 2.0**-15, np.inf, -1.0]
    cell = StateSpaceCell(
        tau=np.empty((4, 0)), c_re=np.empty((4, 0)), d=np.ones(4), theta=thetas, bias=np.zeros(4)
    )
    scaling = NativeScaling(4, np.empty((4, 0), np.int64), np.zeros(4, np.int64))
    p = quantise_cell(cell, 1.0, scaling)
    steps = np.array([16384, 16385, 2**27 - 1, -32768, -32767]) << 4
    u = np.repeat(steps[None, :, None], 4, axis=2).astype(np.int32)
    spikes = run_native(p, u).spikes[0].T.tolist()
    assert spikes[0] == spikes[1] == [False, True, True, False, False]
    assert spikes[2] == [False] * 5
    assert spikes[3] == [True, True, True, False, True]


def test_a_mode_without_leak_counts_exactly():
    """tau = inf: the pole becomes 1 - 2^-31, and rounding to nearest makes up for it."""
    cell = StateSpaceCell(
        tau=[[np.inf]], c_re=[[1.0]], d=[0.0], theta=[np.inf], bias=[1.0]
    )
    p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=2.0, steps=20000))
    run = run_native(p, np.zeros((1, 20000, 1), np.int32), membrane=True)
    y = run.membrane[0, :, 0] / 2.0 ** (15 + p.membrane_exponent[0])
    assert int(run.state.x_re[0, 0, 0]) == 20000 * 2.0 ** (15 + p.state_exponent[0, 0])
    assert np.abs(y / np.arange(1, 20001) - 1).max() < 2.0**-25  # the readout's low bits are k


def test_words_are_laid_out_for_c():
    rng = np.random.default_rng(0)
    p = random_parameters(rng, 3, 2, rotating=True)
    state = random_state(rng, p, 1)
    words = neuron_words(p, state)
    assert words.shape == (3, 4 + 6 * 2)
    for h in range(3):
        expected = [0, p.bias[h], p.d[h], p.theta[h]]
        for n in range(2):
            expected += [p.a_re[h, n], p.a_im[h, n], p.c_re[h, n], -p.c_im[h, n]]
            expected += [state.x_re[0, h, n], state.x_im[0, h, n]]
        assert words[h].tolist() == expected
    real = random_parameters(rng, 3, 2, rotating=False)
    assert neuron_words(real).shape == (3, 4 + 3 * 2)
    assert neuron_words(real)[0, 4:7].tolist() == [real.a_re[0, 0], real.c_re[0, 0], 0]


def test_what_was_planned_can_be_read_back():
    cell = cell_of(np.random.default_rng(1), 3, 4)
    scaling = plan_scaling(cell, 1.0, input_bound=3.0, steps=100)
    p = quantise_cell(cell, 1.0, scaling)
    assert (p.state_exponent == scaling.state_exponent).all()
    radius = np.exp(-1 / cell.tau)
    assert np.abs(p.abar - radius * np.exp(1j * cell.omega)).max() < 2.0**-31
    assert scaling.state_exponent.min() < scaling.state_exponent.max()
    i, s, membrane = scaling.input_exponent, scaling.state_exponent, scaling.membrane_exponent
    for found, exact, nearest in (
        (p.c_re, np.ldexp(cell.c_re, 32 + membrane[:, None] - s), 16),  # the low bits are k
        (p.c_im, np.ldexp(cell.c_im, 32 + membrane[:, None] - s), 0.5),
        (p.d, np.ldexp(cell.d, 32 + membrane - i), 0.5),
        (p.bias, np.ldexp(cell.bias, 15 + i), 0.5),
    ):
        assert np.abs(found - exact).max() <= nearest


def test_nearest_beats_truncation_for_slow_modes():
    """Truncation loses half a unit a step, tau/2 in all; to nearest, errors average out."""
    for tau in (100, 1000, 10000):
        floor = rounding_error(tau, nearest=False)
        nearest = rounding_error(tau, nearest=True)
        assert floor.mean == pytest.approx(-tau / 2, rel=0.1)
        assert abs(nearest.mean) < 1
        assert nearest.rms < floor.rms / 20
        assert nearest.rest <= tau / 2 + 1
        assert rounding_error(tau, nearest=False, negative=True).rest >= tau - 1
    with pytest.raises(FixedPointError, match="tau is 0"):
        rounding_error(0, nearest=True)


def test_an_overflow_is_named_or_counted():
    cell = cell_of(np.random.default_rng(2), 3, 2, rotating=False, bias=np.zeros(3))
    p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=1.0, steps=50))
    u = np.zeros((2, 50, 3), np.int32)
    u[1, 7:, 2] = 2**31 - 1
    with pytest.raises(StateOverflowError, match=r"sample 1, tick \d+, neuron 2: .*plan again"):
        run_native(p, u)
    assert run_native(p, u, allow_overflow=True).overflows >= 1
    none = np.empty((3, 0))
    cell = StateSpaceCell(tau=none, c_re=none, d=np.ones(3), theta=np.ones(3), bias=np.ones(3))
    scaling = NativeScaling(0, none.astype(int), np.full(3, -2))
    with pytest.raises(StateOverflowError, match=r"sample 1, tick 12, neuron 2: .*\(43 such"):
        run_native(quantise_cell(cell, 1.0, scaling), u, tick=5)
    biased = dataclasses.replace(p, bias=np.full(3, 2**30, np.int32))
    u[1, 7, 2] = 2**31 - 1
    with pytest.raises(StateOverflowError, match="a state or the input"):
        run_native(biased, u)
