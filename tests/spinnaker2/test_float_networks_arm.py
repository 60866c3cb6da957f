"""Whole networks on a Cortex-M4F's instructions, their delays in ring buffers: every bit.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

from dataclasses import replace

import numpy as np
import pytest
from support.arm import float_network, float_runner
from support.arm.marks import needs_arm
from support.cell_parts import with_parts
from support.files import ROOT
from support.gated_networks import gated_network_of, lowered, samples_for
from support.looped_networks import looped_network_of
from support.random_networks import network_samples

from export.description.multiplicity import in_units
from export.lowering.network import lower
from export.samples.inputs import encode
from export.spinnaker2 import budget, plan_network
from export.spinnaker2 import runner as predicted
from export.spinnaker2.plan import mapped
from export.spinnaker2.report import INSTRUCTIONS
from snn_ssm.checkpoint import load_checkpoint

pytestmark = needs_arm


@pytest.fixture(scope="module")
def executable(tmp_path_factory):
    driver = tmp_path_factory.mktemp("network") / "driver"
    return float_runner.build(driver, "-O2", driver=float_network.DRIVER)


def check(executable, network, samples):
    network = in_units(network)
    spikes, membranes = float_network.run(executable, network, samples)
    names = list(membranes)
    found = predicted(network)(samples, names)
    scale = plan_network(network).scale
    for name in names:
        own = membranes[name].astype(np.float64) * scale[name]
        assert np.array_equal(found.membranes[name], own), name
        if name in found.spikes:
            assert np.array_equal(found.spikes[name], spikes[name]), name
    return found


@pytest.mark.parametrize("residual", ["folded", "relayed"])
@pytest.mark.parametrize("kind", ["glu", "gsu", "glu of integers", "token glu", "events gsu"])
def test_gated_networks(executable, kind, residual):
    _, network, samples = lowered(kind, 6, depth=3, residual=residual)
    check(executable, network, samples[:2])


@pytest.mark.parametrize("kind", [
    "ternary", "integer", "token", "soft reset", "hard reset", "history", "glu with reset",
    "soft reset of real modes",
])
def test_other_networks(executable, kind):
    _, network, samples = lowered(kind, 6, depth=3)
    check(executable, network, samples[:2])


@pytest.mark.parametrize("seed", range(12))
def test_loops_lags_masks_and_taps(executable, seed):
    network = looped_network_of(seed)
    if seed % 2:
        network = with_parts(network, seed)
        network = replace(network, populations=tuple(
            replace(p, cell=replace(p.cell, multiplicity=None, differences=False))
            for p in network.populations
        ))
    check(executable, network, network_samples(network, 2, seed))


@pytest.mark.parametrize("seed", range(4))
def test_drawn_gates_of_long_delays(executable, seed):
    network = gated_network_of(seed, "gsu" if seed % 2 else "glu", layers=3, delay=3)
    check(executable, network, samples_for(network, 2, seed))


@pytest.mark.parametrize(("name", "residual"), [
    ("smnist-binary-s4d", "folded"), ("smnist-glu", "folded"), ("smnist-glu", "relayed"),
    ("smnist-gsu", "relayed"), ("smnist-gsu", "folded"), ("smnist-gsu-sparse", "relayed"),
    ("smnist-sparse", "folded"),
])
def test_a_digit_of_a_shipped_network(executable, name, residual):
    network = lower(load_checkpoint(ROOT / "examples" / "checkpoints" / name), residual=residual)
    with np.load(ROOT / "examples" / "data" / "mnist-test-200.npz") as data:
        digit = data["inputs"][:1]
    found = check(executable, network, digit)
    assert sum(int(s.sum()) for s in found.spikes.values()) > 5_000


@pytest.mark.parametrize("channels", [8, 32])
@pytest.mark.parametrize("kind", ["ternary", "glu", "gsu", "events gsu", "soft reset", "history"])
def test_the_budget_is_what_a_network_executes(executable, kind, channels):
    """Spikes and values to the instruction; the neurons' at most a quarter too high."""
    _, network, samples = lowered(kind, 1, steps=4, depth=2, channels=channels)
    network, samples = in_units(network), samples[:1]

    def executed(function):
        return float_runner.counted(
            lambda options: float_network.run(executable, network, samples, options), function
        )

    sent = predicted(network)(samples, []).spikes | {network.source.name: encode(network, samples)}
    onto = [q for p in mapped(network) for q in network.incoming(p.name)]
    spikes = [(int(sent[q.source].sum()), q.weights.shape[1]) for q in onto if not q.graded]
    values = network.steps * sum(len(q.weights) for q in onto if q.graded)
    each = INSTRUCTIONS["spike"], INSTRUCTIONS["target"]
    assert executed("receive_spike") == sum(n * (each[0] + size * each[1]) for n, size in spikes)
    assert executed("receive_value") == values * INSTRUCTIONS["value"]
    own = network.steps * sum(row["instructions"] for row in budget(network))
    own -= values * INSTRUCTIONS["value"]
    assert 0.8 * own < executed("step_population") <= own
