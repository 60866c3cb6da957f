"""The C core of gated inputs on the board's processor, emulated, equals NumPy bit for bit.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import subprocess

import numpy as np
import pytest
from support.arm import runner
from support.arm.marks import needs_arm
from support.drawn_cell import RESETS
from support.drawn_gated import delayed, random_gated, random_inputs

from pynn_models.spinnaker import C_DIRECTORY, neuron_words, run_native
from pynn_models.spinnaker.gated import gated_input, sent_membranes
from pynn_models.spinnaker.gated_words import Clock, gated_words

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return runner.build_all(tmp_path_factory.mktemp("arm"), runner.GATED_DRIVER)


def compare(executable, p, arriving, values, clock, tick=0):
    """Runs both over L ticks; returns the membranes."""
    sent = delayed(p, values)
    u = gated_input(
        p, [arriving[None, :, :, r] for r in range(p.n_receptors)], [s[None] for s in sent]
    ).u
    times = {"first_step": clock.first_step, "period": clock.period, "tick": tick}
    expected = run_native(p.cell, u, membrane=True, allow_overflow=True, **times)
    spikes, y, payloads, words = runner.run_gated(executable, p, arriving, values, clock, tick=tick)
    assert np.array_equal(y, expected.membrane[0])
    assert np.array_equal(spikes, expected.spikes[0])
    assert np.array_equal(payloads, sent_membranes(p, expected.membrane)[0])
    left = gated_words(p)
    modes = neuron_words(p.cell, expected.state)[:, 4:]
    left[:, 4 : 4 + modes.shape[1]] = modes
    assert np.array_equal(words, left)  # inputs are cleared, constants are as they were
    return y


@pytest.mark.parametrize("name", runner.BUILDS)
@pytest.mark.parametrize("kind", ["", "glu", "gsu"])
def test_random_integers(executables, name, kind):
    """Every integer that the checks accept; delays of 1 to 15 ticks; waiting and restarting; resets
    and histories."""
    for seed in range(6):
        rng = np.random.default_rng((seed, len(kind)))
        p = random_gated(
            rng, kind, size=int(rng.integers(1, 6)), modes=int(rng.integers(0, 4)),
            rotating=bool(rng.random() < 0.5), branches=int(rng.integers(1, 4)),
            sources=tuple(int(n) for n in rng.integers(1, 9, rng.integers(0, 4))),
            reset=RESETS[seed % 3], history=(0, 3)[seed % 2],
        )
        arriving, values = random_inputs(rng, p, 40)
        clock = Clock(int(rng.integers(0, 9)), int(rng.integers(0, 9)))
        compare(executables[name], p, arriving, values, clock, int(rng.integers(0, 9)))


def test_the_framework_side_compiles(tmp_path):
    """state_space_gated_impl.h against declarations of what it takes from sPyNNaker's framework."""
    source = tmp_path / "impl.c"
    source.write_text('#include "state_space_gated_impl.h"\n')
    stubs = runner.DRIVER.parent / "framework"
    subprocess.run(
        [
            runner.COMPILER, *runner.FLAGS, "-std=gnu99", "-Wno-pedantic", "-Wno-unused-function",
            "-marm", "-Ofast",
            "-I", str(stubs), "-I", str(C_DIRECTORY), "-c", str(source), "-o", str(tmp_path / "o"),
        ],
        check=True,
    )  # fmt: skip
