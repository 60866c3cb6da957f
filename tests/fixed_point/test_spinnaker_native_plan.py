"""Planning a native cell: the gains, exponents and limits of its scaling, and the refusals."""

import dataclasses
import math

import numpy as np
import pytest
from support.drawn_cell import cell_of
from support.quantised_networks import quantised

from export.fixed_point import simulation as integers
from pynn_models import History, Reset, StateSpaceCell
from pynn_models.cells import propagator
from pynn_models.spinnaker import (
    FixedPointError,
    NativeReset,
    NativeScaling,
    NativeState,
    neuron_words,
    plan_scaling,
    quantise_cell,
    run_native,
    state_gain,
)
from pynn_models.spinnaker.fixed_point import INT32_MAX


def one_mode(**changes):
    values = {"tau": [[2.0]], "c_re": [[1.0]], "d": [0.0], "theta": [1.0], "bias": [0.0]}
    return StateSpaceCell(**(values | changes))


@pytest.mark.parametrize("tau", [0.5, 300.0, 1e6, 1e10, 1e13, np.inf])
def test_the_gain_of_a_state_is_its_sum(tau):
    cell = one_mode(tau=[[tau]])
    radius = propagator(cell.tau, cell.omega, 1.0)[0].item()
    expected = math.fsum(radius**k for k in range(1000))
    assert state_gain(cell, 1.0, 1000).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("tau", [1.7e5, 1.8e5, 1.9e5, 2.1e5])
def test_a_slow_mode_at_the_end_of_its_range_stays_in_it(tau):
    """Driven to 2^31 - 1 of the exact pole: the board's, rounded, may lead further."""
    cell, steps = one_mode(tau=[[tau]]), 2_000_000
    drive = math.floor(INT32_MAX * 8 / state_gain(cell, 1.0, steps).item())
    scaling = plan_scaling(cell, 1.0, input_bound=drive / 2.0**29, steps=steps)
    assert scaling.input_exponent == 14
    u = np.full((1, steps, 1), drive, np.int32)
    assert run_native(quantise_cell(cell, 1.0, scaling), u).overflows == 0


def test_small_inputs_have_exponent_14_and_a_fast_mode_half_of_their_range():
    scaling = plan_scaling(one_mode(tau=[[0.1]]), 1.0, input_bound=0.5, steps=100)
    assert scaling.input_exponent == 14 and scaling.state_exponent == 13


@pytest.mark.parametrize("power", [-200, -56, -20, 20, 56, 200])
@pytest.mark.parametrize("kind", ["native", "soft reset", "history"])
def test_membranes_have_any_scale(kind, power):
    """A power of two on a neuron's readout and thresholds changes no bit, and no spike."""
    _, network, samples = quantised(kind, 3, 9, depth=2)
    scaled = []
    for population in network.populations:
        cell = population.cell
        factor = 2.0 ** (power * (-1) ** np.arange(cell.n_neurons))
        history = cell.history and History(a=cell.history.a * factor[:, None])
        c_im = None if cell.c_im is None else cell.c_im * factor[:, None]
        cell = dataclasses.replace(
            cell, c_re=cell.c_re * factor[:, None], c_im=c_im, d=cell.d * factor,
            theta=cell.theta * factor, history=history,
        )
        scaled.append(dataclasses.replace(population, cell=cell) if population.spikes
                      else population)
    other = dataclasses.replace(network, populations=tuple(scaled))
    found, expected = integers.run(other, samples).spikes, integers.run(network, samples).spikes
    assert all(np.array_equal(found[name], spikes) for name, spikes in expected.items())
    assert all(0.02 < spikes.mean() < 0.98 for spikes in expected.values())
    plans = [integers.plan_network(n).populations["layer0"] for n in (network, other)]
    one, two = (neuron_words(plan.parameters) for plan in plans)
    assert np.array_equal(one, two)


@pytest.mark.parametrize("modes", [1, 4])
def test_a_readout_that_only_rounding_makes_too_large_is_scaled_down(modes):
    """Each c, or the sum of four, would fill the format to the last unit."""
    c = np.full((1, modes), (1 - 2.0**-31) * (1.0 if modes == 1 else 0.5))
    cell = one_mode(tau=np.full((1, modes), 1e6), c_re=c)
    p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=0.5, steps=10**6))
    assert np.abs(p.c_re).max() < 2**30 + 64


def test_a_readout_may_be_as_large_as_its_limit():
    c = np.full((2, 2), 2**31 - 32, np.int32)
    whole = {"c_re": c, "c_im": np.zeros_like(c)}
    dataclasses.replace(_parameters(), **whole, d=np.full(2, 62, np.int32))
    with pytest.raises(FixedPointError, match=r"sum \|c\| \+ \|d\| = 4294967295"):
        dataclasses.replace(_parameters(), **whole, d=np.full(2, 63, np.int32))


def _planned(**changes):
    cell = cell_of(np.random.default_rng(0), 2, 2, **changes)
    return cell, plan_scaling(cell, 1.0, input_bound=1.0, steps=10)


def _parameters():
    return quantise_cell(_planned()[0], 1.0, _planned()[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run_native(_parameters(), np.zeros((1, 2, 2))), "u is float64"),
        (lambda: run_native(_parameters(), np.zeros((1, 2, 3), np.int32)), r"\(B, L, 2\)"),
        (
            lambda: run_native(_parameters(), np.zeros((1, 2, 2), np.int32), period=-1),
            "period -1",
        ),
        (lambda: run_native(_parameters(), np.zeros((1, 2, 2), np.int32), tick=-1), "tick -1"),
        (
            lambda: run_native(
                _parameters(),
                np.zeros((1, 2, 2), np.int32),
                initial=NativeState(*np.zeros((2, 1, 2, 3), np.int32)),
            ),
            "initial x_re",
        ),
        (
            lambda: plan_scaling(_planned()[0], 1.0, input_bound=-1.0, steps=10),
            "expected finite bounds",
        ),
        (
            lambda: plan_scaling(
                _planned()[0], 1.0, input_bound=[1.0, 70.0], steps=10, input_exponent=10
            ),
            "neuron 1 has input bound 70",
        ),
        (
            lambda: plan_scaling(
                cell_of(np.random.default_rng(0), 1, 1, tau=[[np.inf]]),
                1.0, input_bound=1.0, steps=2**40, input_exponent=14,
            ),
            "mode 0 reaches",
        ),
        (
            lambda: plan_scaling(
                cell_of(np.random.default_rng(0), 1, 1, theta=[1e200]),
                1.0, input_bound=1.0, steps=10,
            ),
            "neuron 0 would need membrane exponent",
        ),
        (
            lambda: quantise_cell(
                _planned()[0], 1.0,
                NativeScaling(0, np.zeros((2, 3), np.int64), np.zeros(2, np.int64)),
            ),
            "exponents of shapes",
        ),
        (
            lambda: quantise_cell(
                _planned()[0], 1.0,
                NativeScaling(0, np.zeros((2, 2), np.int64), np.zeros(2, np.int64)),
            ),
            r"state exponent \[0\]\[0\] is 0, expected -31 to -1",
        ),
        (
            lambda: quantise_cell(
                _planned()[0], 1.0,
                NativeScaling(0, np.full((2, 2), -32), np.zeros(2, np.int64)),
            ),
            r"state exponent \[0\]\[0\] is -32, expected -31 to -1",
        ),
        (
            lambda: plan_scaling(_planned()[0], 1.0, input_bound=1.0, steps=0),
            "and 0 steps, expected finite bounds >= 0 and at least 1 step",
        ),
        (
            lambda: quantise_cell(
                _planned()[0], 1.0,
                dataclasses.replace(_planned()[1], membrane_exponent=np.full(2, 20)),
            ),
            r"in the board's units, expected a magnitude below 2\^31",
        ),
        (
            lambda: dataclasses.replace(_parameters(), d=np.zeros(3, np.int32)),
            "d is .*expected int32 of shape",
        ),
        (
            lambda: dataclasses.replace(
                _parameters(), a_re=np.full((2, 2), 2**31 - 1, np.int32)
            ),
            "outside the unit circle",
        ),
        (
            lambda: dataclasses.replace(
                _parameters(),
                a_re=np.full((2, 2), -(2**31), np.int32),
                a_im=np.zeros((2, 2), np.int32),
            ),
            "outside the unit circle",
        ),
        (
            lambda: dataclasses.replace(
                _parameters(), c_im=np.full((2, 2), 2**31 - 1, np.int32)
            ),
            r"sum \|c\| \+ \|d\|",
        ),
        (lambda: dataclasses.replace(_parameters(), c_re=np.full((2, 2), 31, np.int32)), "k = 31"),
        (
            lambda: dataclasses.replace(_parameters(), history=np.zeros((3, 2), np.int32)),
            r"history is \(\(3, 2\), 'int32'\), expected int32 of shape \(2, 2\)",
        ),
        (
            lambda: dataclasses.replace(
                _parameters(), theta=np.array([0, 2**30], np.int32),
                history=np.array([[5, 5], [2**29, 2**29]], np.int32),
            ),
            r"threshold of neuron 1 moves from 1073741824 to 2147483648 with its history, expected "
            "within 32 bits. Lower its membrane exponent",
        ),
        (
            lambda: dataclasses.replace(
                _parameters(), reset=NativeReset(r_re=np.zeros((2, 2), np.int32))
            ),
            r"r_im is None, expected int32 of shape \(2, 2\)",
        ),
        (
            lambda: quantise_cell(
                dataclasses.replace(
                    _planned()[0],
                    reset=Reset(r_re=np.full((2, 2), 1e9), r_im=np.zeros((2, 2))),
                ),
                1.0, _planned()[1],
            ),
            r"r_re\[0\]\[0\] is .* below 2\^31. Lower the state exponent",
        ),
        (
            lambda: plan_scaling(
                dataclasses.replace(
                    _planned()[0],
                    reset=Reset(r_re=np.full((2, 2), 1e30), r_im=np.zeros((2, 2))),
                ),
                1.0, input_bound=1.0, steps=10,
            ),
            "neuron 0, mode 0 reaches .*, beyond every state exponent",
        ),
        (
            lambda: run_native(
                _parameters(), np.zeros((1, 2, 2), np.int32),
                initial=NativeState(
                    *np.zeros((2, 1, 2, 2), np.int32), before=np.zeros((1, 2), np.int32)
                ),
            ),
            r"initial before is int32 of shape \(1, 2\), expected uint32 of shape \(1, 2\)",
        ),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(FixedPointError, match=message):
        call()
