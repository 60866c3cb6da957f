"""The gated float32 core, compiled for a Cortex-M4F and emulated: every bit the NumPy model's.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import functools

import numpy as np
import pytest
from support.arm import float_runner
from support.arm.marks import needs_arm
from support.float_networks import random_floats, random_inputs

from export.spinnaker2 import report
from pynn_models.spinnaker2 import gated_words, run_modes

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return float_runner.build_all(tmp_path_factory.mktemp("gated_float"), float_runner.GATED_DRIVER)


@pytest.mark.parametrize("rotating", [True, False])
@pytest.mark.parametrize("kind", ["", "glu", "gsu"])
@pytest.mark.parametrize("name", float_runner.BUILDS)
def test_every_bit(executables, name, kind, rotating):
    rng = np.random.default_rng([3, rotating])
    p = random_floats(rng, kind, size=5, modes=3, rotating=rotating)
    arriving = random_inputs(rng, p, 200)
    spikes, y, words = float_runner.run_gated(executables[name], p, arriving)
    expected, membrane = run_modes(p.cell, arriving.input(p), membrane=True)
    assert np.array_equal(y.view(np.int32), membrane[0].view(np.int32))
    assert np.array_equal(spikes, expected[0]) and 0.05 < spikes.mean() < 0.95
    assert words.size == sum(len(w) for w in gated_words(p))


ENDS = [
    0, 1 / 128, 1 / 64, 0.01, 7.99, 8 - 1 / 128, 8, 8.01, 15.99, 16 - 1 / 64, 16, 16.01, 1e4, 1e30,
]


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("name", float_runner.BUILDS)
def test_the_ends_of_the_tables(executables, name, kind):
    """A neuron an argument: steps of the table, its end, beyond it, of either sign."""
    ends = np.array([*ENDS, *(-x for x in ENDS)], np.float32)
    rng = np.random.default_rng(5)
    p = random_floats(rng, kind, size=len(ends), modes=1, sources=())
    arriving = random_inputs(rng, p, 2, rows=0)
    p.branches.value_bias[:], p.branches.gate_bias[:], p.branches.shift[:] = 1, ends[:, None], 0
    p.branches.value_bias[:, 1] = 2
    _, y, _ = float_runner.run_gated(executables[name], p, arriving)
    _, membrane = run_modes(p.cell, arriving.input(p), membrane=True)
    assert np.array_equal(y.view(np.int32), membrane[0].view(np.int32))
    assert (np.abs(y).max() > 1e29) == (kind == "gsu")


def executed(executable, kind, branches=0, sources=(), modes=2):
    """Instructions a neuron and step; all arguments within the tables, no weight 0."""
    rng = np.random.default_rng(1)
    p = random_floats(
        rng, kind, size=4, modes=modes, branches=branches, sources=sources, receptor=0
    )
    for g in p.graded:
        g.weights[:] = 1
    return float_runner.count_gated(executable, p, random_inputs(rng, p, 10, rows=5)) / 40


def test_instructions_are_at_most_those_that_the_budget_counts(executables):
    """Each by the difference of two populations that differ in one thing, rounded up."""
    count = functools.partial(executed, executables["O2"])
    plain, more = count(""), count("", modes=10)
    mode = (more - plain) / 8
    link = (count("", sources=(40,)) - count("", sources=(8,))) / 32
    found = {
        "mode": mode, "gated": plain - 2 * mode - report.INSTRUCTIONS["neuron"], "link": link,
        "graded": count("", sources=(8,)) - 8 * link - plain,
    }
    found |= {kind: (count(kind, 5) - count(kind, 1)) / 4 for kind in ("glu", "gsu")}
    for name, instructions in found.items():
        counted = report.INSTRUCTIONS[name]
        assert counted - 1 < instructions <= counted, (name, instructions)
