"""Event-based gated recurrent units on the board's processor, emulated: every bit NumPy's, and
NumPy's those of plain Python integers.

Needs Debian's gcc-arm-none-eabi and qemu-user.
"""

import dataclasses

import numpy as np
import pytest
from support.arm import runner
from support.arm.marks import needs_arm
from support.drawn_gated import delayed, random_egru, random_inputs

from pynn_models.spinnaker.egru import run_egru
from pynn_models.spinnaker.fixed_point import FixedPointError
from pynn_models.spinnaker.gated import gated_sums
from pynn_models.spinnaker.gated_words import Clock, gated_words, slots
from pynn_models.spinnaker.tables import SIGMOID


@pytest.fixture(scope="module")
def executables(tmp_path_factory):
    return runner.build_all(tmp_path_factory.mktemp("egru"), runner.GATED_DRIVER)


def modelled(p, arriving, values):
    sent = [s[None] for s in delayed(p, values)]
    totals, _ = gated_sums(p, [arriving[None, :, :, r] for r in range(p.n_receptors)], sent)
    return totals


@needs_arm
@pytest.mark.parametrize("name", runner.BUILDS)
def test_random_integers(executables, name):
    """Waiting, and samples that begin anew, on the way."""
    fired = 0
    for seed in range(8):
        rng = np.random.default_rng((seed, 31))
        p = random_egru(
            rng, size=int(rng.integers(1, 6)),
            sources=tuple(int(n) for n in rng.integers(1, 9, rng.integers(0, 4))),
        )
        arriving, values = random_inputs(rng, p, 40)
        first, period, tick = (int(n) for n in rng.integers(0, 9, 3))
        spikes, y, sent, words = runner.run_gated(
            executables[name], p, arriving, values, Clock(first, period), tick=tick
        )
        totals = modelled(p, arriving, values)
        state = None
        for k in range(40):
            step = tick + k - first
            if step < 0:
                assert not (y[k].any() or spikes[k].any() or sent[k].any())
                continue
            if period and step % period == 0:
                state = None
            run = run_egru(p, [t[:, k : k + 1] for t in totals], state)
            state = run.state
            assert np.array_equal(y[k], run.membrane[0, 0])
            assert np.array_equal(spikes[k], run.spikes[0, 0])
            assert np.array_equal(sent[k], run.sent[0, 0])
            fired += int(run.spikes.sum())
        left = gated_words(p)
        left[:, 6] = 0 if state is None else state[0]  # x of the one mode: a, c, x from word 4 on
        assert np.array_equal(words, left)
    assert fired > 100


def sigmoid(x):
    """The table's, of an integer s16.15, in units of 2^-16."""
    a, bits = abs(x), SIGMOID.step_bits
    i, rest = a >> bits, a & (1 << bits) - 1
    left = 0
    if i < 1024:
        above, below = int(SIGMOID.entries[i]), int(SIGMOID.entries[i + 1])
        left = above - ((above - below) * rest + (1 << bits - 1) >> bits)
    return left if x < 0 else 65536 - left


def rounded(x, shift):
    return x + (1 << shift >> 1) >> shift


def limited(x):
    return min(max(x, -(2**31)), 2**31 - 1)


def test_the_model_is_that_of_plain_integers():
    cut = 0
    for seed in range(4):
        rng = np.random.default_rng((seed, 32))
        p = random_egru(rng, size=3)
        arriving, values = random_inputs(rng, p, 30)
        totals = modelled(p, arriving, values)
        run = run_egru(p, totals)
        for i in range(3):
            first, index, last = (getattr(p.branches, n)[i].tolist() for n in
                                  ("first", "index", "last"))
            h = wrong = 0
            for k in range(30):
                u, update, reset, recurrent, _ = (int(t[0, k, i]) for t in totals)
                z, r = sigmoid(rounded(update, first[0])), sigmoid(rounded(reset, index[0]))
                product = rounded(recurrent * r, last[1])
                total = u + limited(product)
                wrong += limited(product) != product or limited(total) != total
                g = 2 * sigmoid(rounded(limited(total), index[1])) - 65536
                v = rounded(z * h + (65536 - z) * (g << 14), 16)
                fired = v > p.cell.theta[i]
                assert (run.membrane[0, k, i], run.spikes[0, k, i]) == (v, fired)
                assert run.sent[0, k, i] == (v if fired else 0)
                h = v - int(p.cell.theta[i]) if fired else v
            assert run.state[0, i] == h
            cut += wrong
        # The same in two parts, on from the state.
        parts = [run_egru(p, [t[:, :13] for t in totals])]
        parts.append(run_egru(p, [t[:, 13:] for t in totals], parts[0].state))
        joined = np.concatenate([part.membrane for part in parts], axis=1)
        assert np.array_equal(joined, run.membrane)
        assert parts[0].limited + parts[1].limited == run.limited
    assert cut > 0


def test_other_branches_are_refused():
    p = random_egru(np.random.default_rng(0))
    other = dataclasses.replace(p, branches=dataclasses.replace(p.branches, kind="gsu"))
    with pytest.raises(FixedPointError, match="branches of kind 'gsu', expected 2 of kind 'egru'"):
        run_egru(other, [np.zeros((1, 1, 3), np.int32)] * 5)


def test_slots_leave_room_for_the_one_that_is_cleared():
    p = random_egru(np.random.default_rng(1), sources=(2,))
    for delay, wanted in ((1, 4), (2, 4), (3, 8), (6, 8), (7, 16), (14, 16)):
        graded = (dataclasses.replace(p.graded[0], delay=delay),)
        assert slots(dataclasses.replace(p, graded=graded)) == wanted >= delay + 2
    graded = (dataclasses.replace(p.graded[0], delay=15),)
    with pytest.raises(FixedPointError, match="delay of 15 steps, expected at most 14"):
        slots(dataclasses.replace(p, graded=graded))
    assert slots(dataclasses.replace(p, graded=graded, events=False)) == 16
