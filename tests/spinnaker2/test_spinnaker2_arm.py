"""The float32 core, compiled for a Cortex-M4F and emulated, equals the NumPy model bit for bit.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import numpy as np
import pytest
from support.arm import float_runner
from support.arm.marks import needs_arm
from support.float_networks import random_modes

from export.spinnaker2 import report
from pynn_models.spinnaker2 import neuron_words, run_modes

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return float_runner.build_all(tmp_path_factory.mktemp("float"))


def parameters(seed, size=5, modes=4, rotating=True):
    rng = np.random.default_rng(seed)
    return random_modes(rng, size, modes, rotating, bias=True, theta=50)


@pytest.mark.parametrize("rotating", [True, False])
@pytest.mark.parametrize("name", float_runner.BUILDS)
def test_every_bit(executables, name, rotating):
    p = parameters(3, rotating=rotating)
    u = np.random.default_rng(4).integers(-400, 400, (300, 5)).astype(np.float32)
    spikes, y, words = float_runner.run(executables[name], p, u)
    expected, membrane = run_modes(p, u[None], membrane=True)
    assert np.array_equal(y.view(np.int32), membrane[0].view(np.int32))
    assert np.array_equal(spikes, expected[0]) and 0.1 < spikes.mean() < 0.9
    assert words.shape == neuron_words(p).shape
    assert np.array_equal(words[:, :3], neuron_words(p)[:, :3])


def test_a_fused_multiply_add_would_differ(executables, tmp_path):
    """What -ffp-contract=off is for; a Cortex-A15's flags allow fusing, a check of the check."""
    fused = float_runner.build(
        tmp_path / "fused", "-O2", "-mcpu=cortex-a15", "-mfpu=vfpv4", "-ffp-contract=fast"
    )
    p = parameters(3)
    u = np.random.default_rng(4).integers(-400, 400, (300, 5)).astype(np.float32)
    _, y, _ = float_runner.run(fused, p, u)
    _, membrane = run_modes(p, u[None], membrane=True)
    assert not np.array_equal(y, membrane[0])
    assert np.abs(y - membrane[0]).max() < 1e-3 * np.abs(membrane).max()


def test_instructions_are_at_most_those_that_the_budget_counts(executables):
    u = np.zeros((10, 5), np.float32)
    for rotating, name in ((True, "mode"), (False, "real mode")):
        few, many = (
            float_runner.count_instructions(
                executables["O2"], parameters(1, modes=n, rotating=rotating), u
            ) / 50
            for n in (4, 16)
        )
        a_mode = (many - few) / 12
        assert report.INSTRUCTIONS[name] - 1 < a_mode <= report.INSTRUCTIONS[name]
        neuron = few - 4 * a_mode
        assert report.INSTRUCTIONS["neuron"] - 2 < neuron <= report.INSTRUCTIONS["neuron"]
