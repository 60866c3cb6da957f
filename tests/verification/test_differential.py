"""E2 and E3 on random configurations of everything that lowers, at adversarial scales, and ties.

The other side is tests/support/extended_simulator.py, in extended precision. The long version:
``make test-slow``, or ``PYTHONPATH=tests python -m support.differential 1000 --nest 10``, and
``--chip 400`` for the C core.
"""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from support.any_configuration import TIES, draw
from support.arm import runner
from support.differential import Count, chip_lines, compare, compare_chip, in_nest
from support.extended_simulator import erf


def none_differs(count):
    assert count.wrong == []
    assert all(differ == 0 for _, differ in count.mismatches.values())


def test_torch_and_software_have_every_spike():
    count = Count()
    for seed in range(40):
        compare(count, seed)
    none_differs(count)
    assert count.of_ties > 5 and count.ties > 50
    assert 0.2 < count.spikes / count.membranes < 0.8


def test_nest_has_every_spike(quiet_nest):
    count = Count()
    for seed in range(1000, 1008):
        compare(count, seed, nest=True)
    none_differs(count)
    assert count.mismatches["nest"][0] >= 5


@pytest.mark.skipif(
    bool(runner.missing_tools()), reason="not installed; Debian: gcc-arm-none-eabi, qemu-user"
)
def test_the_c_core_has_every_bit_of_the_integers(tmp_path):
    """Networks that lower with resets and histories: what the model computes, on ARM, too."""
    count, executable = Count(), runner.build(tmp_path / "driver", "-marm", "-Ofast")
    for seed in range(8):
        compare_chip(count, seed, executable)
    none_differs(count)
    assert count.chip["differ"] == 0 and count.refused == {}
    assert count.chip["acting"] > 10_000 and count.chip["spikes"] > 1000
    assert count.chip["other"] < count.chip["spikes"] / 100
    assert " 0 that the C core has otherwise" in "".join(chip_lines(count))


def test_what_is_drawn_for_boards_is_every_native_member():
    models = [draw(seed, chip=True).checkpoint.config.model for seed in range(60)]
    members = {(m.reset, m.refractory > 0, m.history > 0, m.complex_modes) for m in models}
    for rotates in (True, False):
        assert ("none", False, True, rotates) in members
        assert {("soft", r, False, rotates) for r in (True, False)} <= members
        assert {("hard", r, False, rotates) for r in (True, False)} <= members
    assert {m.cells for m in models} == {"native"}
    assert {m.mixing for m in models} >= {"linear", "glu"}


@pytest.mark.slow
def test_a_thousand_configurations(quiet_nest):
    count = Count()
    for seed in range(2000, 3000):
        compare(count, seed, nest=seed % 10 == 0)
    none_differs(count)
    assert count.mismatches["nest"][0] > 50


def test_what_is_drawn_is_everything_that_lowers():
    cases = [draw(seed) for seed in range(150)]
    models = [case.checkpoint.config.model for case in cases]
    seen = {
        key: {getattr(model, key) for model in models}
        for key in ("cells", "mixing", "activation", "norm", "prenorm", "mode_init", "depth",
                    "discretisation", "encoder", "quantise_decays", "weight_bits", "pooling",
                    "gsu_weights", "gsu_norm", "n_ssm", "membrane_norm", "spike_levels", "reset",
                    "refractory", "history", "messages")
    }
    assert seen["cells"] == {"native", "stock", "lif", "egru"}
    assert seen["mixing"] == {"linear", "glu", "gsu"}
    assert seen["activation"] == {"heaviside", "ternary-constant", "integer"}
    assert seen["messages"] == {"counts", "differences"}
    differ = [case for case in cases if any(p.differences for p in case.network.populations)]
    assert len(differ) > 3
    assert seen["membrane_norm"] == {False, True} and seen["spike_levels"] >= {1, 2, 3, 4, 5}
    assert seen["reset"] == {"none", "soft", "hard", "soma"} and seen["refractory"] == {0, 1, 3}
    assert 0 in seen["history"] and len(seen["history"]) > 5
    looped = {(m.reset, m.history > 0) for m in models if m.recurrent}
    assert ("none", True) in looped and {reset for reset, _ in looped} > {"none"}
    assert any(m.reset != "none" and m.history for m in models)
    assert seen["norm"] == {"batch", "none"} and seen["encoder"] == {"linear", "embedding"}
    assert seen["discretisation"] == {"zoh", "bilinear"}
    assert seen["mode_init"] == {"s4d-lin", "s4d-real"} and seen["depth"] == {1, 2, 3, 4, 5, 6}
    assert seen["n_ssm"] == {0, 1} and seen["gsu_weights"] == {1, 2}
    for key in ("prenorm", "quantise_decays", "weight_bits", "pooling", "gsu_norm"):
        assert len(seen[key]) >= 2, key
    sources = [case.network.source for case in cases]
    assert {s.encoding for s in sources} == {"bits", "current", "token", "spikes"}
    assert any(s.channels == 32 and s.bits == 16 for s in sources)
    assert any(np.abs(case.samples).max() > 1e8 for case in cases)
    delays = {case.network.populations[0].latency for case in cases}
    assert delays == {1, 2, 3} and {case.tie for case in cases} == {"", *TIES}
    assert sum(in_nest(case.network) for case in cases) > 75


def test_the_extended_error_function():
    from math import erf as float_erf

    z = np.linspace(-8, 8, 4001, dtype=np.longdouble)
    found = erf(z)
    assert np.abs(found.astype(float) - [float_erf(v) for v in z.astype(float)]).max() < 3e-16
    # Abramowitz & Stegun, table 7.1, and the value to 20 digits
    assert abs(found[2250] - np.longdouble("0.84270079294971486934")) < np.longdouble(1e-18)
