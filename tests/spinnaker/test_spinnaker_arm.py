"""The C core, compiled for the board's processor and emulated, equals the NumPy model bit for bit.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import subprocess

import numpy as np
import pytest
from support.arm import runner
from support.arm.marks import needs_arm
from support.drawn_cell import (
    EXTREMES,
    RESETS,
    cell_of,
    random_parameters,
    random_state,
    with_random_parts,
)

from export.description.readouts import POOLINGS
from export.samples.readout import silent_membrane
from pynn_models.spinnaker import (
    C_DIRECTORY,
    NativeState,
    neuron_words,
    plan_scaling,
    quantise_cell,
    run_native,
)

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return runner.build_all(tmp_path_factory.mktemp("arm"))


def compare(executable, p, u, initial=None, **clock):
    """Runs both on u (L, H); returns the model's run."""
    expected = run_native(
        p, u[None], initial=initial, membrane=True, allow_overflow=True, **clock
    )
    spikes, y, words = runner.run(executable, p, u, initial=initial, **clock)
    assert np.array_equal(y, expected.membrane[0])
    assert np.array_equal(spikes, expected.spikes[0])
    assert np.array_equal(words, neuron_words(p, expected.state))
    return expected


@pytest.mark.parametrize("name", runner.BUILDS)
@pytest.mark.parametrize("rotating", [True, False])
def test_random_integers(executables, name, rotating):
    """Every state, pole, input, r and a that the parameters' checks accept; most of it wraps."""
    for seed in range(12):
        rng = np.random.default_rng((seed, rotating))
        size, modes = int(rng.integers(1, 40)), int(rng.choice([0, 1, 2, 5, 16, 33]))
        reset, history = RESETS[seed % 3], (0, 2, 0, 32, 0)[seed % 5]
        p = with_random_parts(rng, random_parameters(rng, size, modes, rotating), reset, history)
        initial = random_state(rng, p, 1)
        bits = int(rng.integers(1, 32))
        u = rng.integers(-(2**bits), 2**bits, (60, size)).astype(np.int32)
        u[rng.random(u.shape) < 0.1] = rng.choice(np.array(EXTREMES, np.int32))
        clock = {
            "first_step": int(rng.integers(0, 12)),
            "period": int(rng.integers(0, 9)),
            "tick": int(rng.integers(0, 9)),
        }
        compare(executables[name], p, u, initial, **clock)


@pytest.mark.parametrize("rotating", [True, False])
def test_a_planned_cell_for_100_000_steps(executables, rotating):
    """Slow and fast modes together, tau from 2 to 10,000 steps, within the plan's range."""
    rng = np.random.default_rng(rotating)
    steps, size = 100_000, 3
    tau = np.geomspace(2, 10_000, 4 * size).reshape(4, size).T.copy()
    omega = np.where(np.arange(4) % 2, rng.uniform(-3, 3, (size, 4)), 0) if rotating else None
    cell = cell_of(rng, size, 4, rotating, tau=tau, omega=omega)
    scaling = plan_scaling(cell, 1.0, input_bound=5.0, steps=steps)
    p = quantise_cell(cell, 1.0, scaling)
    limit = 4.5 * 2.0 ** (15 + scaling.input_exponent)
    u = rng.uniform(-limit, limit, (steps, size)) * (rng.random((steps, size)) < 0.2)
    run = compare(executables["arm"], p, u.astype(np.int32))
    assert run.overflows == 0
    assert 0.01 < run.spikes.mean() < 0.99


@pytest.mark.parametrize("pooling", POOLINGS)
def test_readouts_hold_the_membranes_that_answers_are_read_from(executables, pooling):
    """Accumulators, leaky neurons and those without memory: their membranes, planned as exported.

    And within what rounding may do, they are those of float64.
    """
    rng = np.random.default_rng(3)
    size, steps = 6, 2000
    bias, tau = rng.normal(0, 0.05, size), np.geomspace(1, 1000, size)
    cell = POOLINGS[pooling].accumulator(bias, tau, 1.0)
    scaling = plan_scaling(cell, 1.0, input_bound=3.0, steps=steps)
    p = quantise_cell(cell, 1.0, scaling)
    unit = 2.0 ** (15 + scaling.input_exponent)
    u = (rng.uniform(-2, 2, (steps, size)) * unit).astype(np.int32)
    run = compare(executables["arm"], p, u)
    assert run.overflows == 0 and not run.spikes.any()
    exact = silent_membrane(cell, (u / unit + bias)[None], 1.0)[0]
    found = run.membrane[0] * 2.0 ** -(15 + scaling.membrane_exponent)
    assert np.abs(found - exact).max() < 1e-3 * np.abs(exact).max()


def test_slow_modes_decay_and_rest_alike(executables):
    """No input: states of either sign near the limit decay until rounding holds them."""
    rng = np.random.default_rng(5)
    tau = np.array([[10.0, 100.0, 1000.0, 10_000.0]])
    for rotating in (True, False):
        cell = cell_of(
            rng, 1, 4, rotating, tau=tau, omega=[[0, 0.01, 1e-4, 0]] if rotating else None, bias=[0]
        )
        p = quantise_cell(cell, 1.0, plan_scaling(cell, 1.0, input_bound=1.0, steps=1000))
        for sign in (1, -1):
            x = np.full((1, 1, 4), sign * (2**31 - 1), np.int32)
            initial = NativeState(x, x // 2 if rotating else np.zeros_like(x))
            run = compare(executables["arm"], p, np.zeros((60_000, 1), np.int32), initial)
            assert abs(run.state.x_re[0, 0, 0]) <= 8  # tau / 2, and a little for two components


def test_largest_weights_of_both_receptors(executables):
    """Full ring buffers, 65535 << 15 of either sign, drive the largest readouts."""
    rng = np.random.default_rng(9)
    p = random_parameters(rng, 16, 4, True)
    full = 65535 << 15
    u = rng.choice(np.array([full, -full, 0], np.int32), (300, 16))
    assert compare(executables["arm"], p, u).overflows > 0
    assert compare(executables["arm, portable C"], p, u).overflows > 0


def test_no_modes(executables):
    rng = np.random.default_rng(1)
    for rotating in (True, False):
        p = random_parameters(rng, 5, 0, rotating)
        u = rng.integers(-(2**31), 2**31, (50, 5)).astype(np.int32)
        compare(executables["arm"], p, u, period=3)


def test_the_driver_reports_input_that_ends_early(executables):
    done = subprocess.run([runner.EMULATOR, str(executables["arm"])], input=b"\x01", check=False)
    assert done.returncode == 1


def test_the_cost_of_a_mode_stays_in_budget(executables):
    """19 instructions a complex mode and 11 a real one; the compiler takes 28 and 16."""
    for rotating, most in ((True, 19), (False, 11)):
        counts = []
        for modes in (4, 16):
            p = random_parameters(np.random.default_rng(0), 1, modes, rotating)
            counts.append(
                runner.count_instructions(executables["arm"], p, np.zeros((4, 1), np.int32)) / 4
            )
        assert (counts[1] - counts[0]) / 12 <= most


def test_the_framework_side_compiles(tmp_path):
    """state_space_impl.h against declarations of what it takes from sPyNNaker's framework."""
    source = tmp_path / "impl.c"
    source.write_text('#include "state_space_impl.h"\n')
    stubs = runner.DRIVER.parent / "framework"
    subprocess.run(
        [
            runner.COMPILER, *runner.FLAGS, "-std=gnu99", "-Wno-pedantic", "-Wno-unused-function",
            "-marm", "-Ofast",
            "-I", str(stubs), "-I", str(C_DIRECTORY), "-c", str(source), "-o", str(tmp_path / "o"),
        ],
        check=True,
    )  # fmt: skip
