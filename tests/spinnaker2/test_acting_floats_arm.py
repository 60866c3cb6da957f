"""The float32 core of neurons on which spikes act back, on a Cortex-M4F's instructions.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import itertools

import numpy as np
import pytest
from support.any_configuration import draw
from support.arm import float_runner
from support.arm.marks import needs_arm
from support.float_networks import random_acting
from support.float_on_chip import on_chip

from export.spinnaker2 import report
from pynn_models.spinnaker2 import neuron_words

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return float_runner.build_all(tmp_path_factory.mktemp("acting_float"))


@pytest.mark.parametrize(("reset", "history", "refractory"), [
    ("soft", 0, 0), ("soft", 3, 2), ("hard", 0, 0), ("hard", 32, 3), ("none", 1, 0),
])
@pytest.mark.parametrize("rotating", [True, False])
@pytest.mark.parametrize("name", float_runner.BUILDS)
def test_every_bit(executables, name, rotating, reset, history, refractory):
    rng = np.random.default_rng(7)
    p = random_acting(
        rng, 5, 3, reset=reset, history=history, rotating=rotating, refractory=refractory
    )
    u = rng.normal(size=(300, 5)).astype(np.float32)
    spikes, y, words = float_runner.run(executables[name], p, u)
    state = p.at_rest(1)
    expected, membrane = p.run(u[None], state, membrane=True)
    assert np.array_equal(y.view(np.int32), membrane[0].view(np.int32))
    assert np.array_equal(spikes, expected[0]) and 0.02 < spikes.mean() < 0.98
    counters = np.stack([state.fired[0], state.rest[0], state.before[0]], axis=1)
    assert np.array_equal(words[:, 3:6].view(np.uint32), counters)
    assert words.shape == neuron_words(p).shape


@pytest.mark.parametrize("name", float_runner.BUILDS)
def test_at_its_threshold_a_membrane_is_not_above_it(executables, name):
    """y = u, theta = 1, a = 0.5 and 0.25: the counts of a spike and of a step above theta."""
    rng = np.random.default_rng(3)
    p = random_acting(rng, 2, 0, reset="none", history=2)
    p.modes.d[:], p.modes.bias[:], p.modes.theta[:], p.history[:] = 1, 0, 1, [0.5, 0.25]
    u = rng.choice(np.array([0.5, 1, 1.25, 1.5, 1.75, 2], np.float32), (400, 2))
    above = np.concatenate([np.zeros((2, 2), bool), u > 1])
    expected = u > 1 + 0.5 * above[1:-1] + 0.25 * above[:-2]
    spikes, y, _ = float_runner.run(executables[name], p, u)
    fired, _ = p.run(u[None], p.at_rest(1))
    assert np.array_equal(y, u)
    assert np.array_equal(spikes, expected) and np.array_equal(fired[0], expected)


def test_random_networks_every_bit(executables):
    """What everything that lowers brings to its cells, loops and lags included."""
    compared = acting = looped = 0
    for seed in range(40):
        case = draw(seed, chip=seed % 2 == 0)
        found = on_chip(executables["O2"], case.network, case.samples)
        if found is None:
            continue
        assert found.differ == 0, case.words
        compared += found.compared
        acting += found.acting
        looped += found.compared * (case.network.max_lag > 0)
    assert compared > 20000 and acting > 5000 and looped > 1000


def test_instructions_are_at_most_those_that_the_budget_counts(executables):
    """The slowest of four resets; each by the difference of two populations, rounded up."""
    def count(modes, history=1, rotating=True):
        found = []
        for reset, refractory in itertools.product(("soft", "hard"), (0, 9)):
            rng = np.random.default_rng(1)
            p = random_acting(
                rng, 5, modes, reset=reset, history=history, rotating=rotating,
                refractory=refractory,
            )
            p.history[:] = 0
            p.modes.theta[:] = -1e30  # a spike in every step that it may have one
            begun, all_ = (
                float_runner.count_instructions(executables["O2"], p, np.zeros((n, 5), np.float32))
                for n in (10, 20)
            )
            found.append((all_ - begun) / 50)
        return max(found)

    mode, real = ((count(12, rotating=r) - count(4, rotating=r)) / 8 for r in (True, False))
    history = (count(4, 9) - count(4, 1)) / 8
    acting = max(count(4) - 4 * mode, count(4, rotating=False) - 4 * real) - history
    found = {"acting": acting, "acting mode": mode, "acting real mode": real, "history": history}
    for name, instructions in found.items():
        counted = report.INSTRUCTIONS[name]
        assert counted - 1 < instructions <= counted, found
