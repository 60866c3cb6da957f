"""Gated inputs in integers: against plain Python integers, against float64, their refusals."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawn_gated import delayed, random_gated, random_inputs
from support.gated_reference import half, neuron_input, normal_entry, shifted, sigmoid_entry

from pynn_models.spinnaker import FixedPointError
from pynn_models.spinnaker.gated import gated_input, sent_membranes
from pynn_models.spinnaker.gated_parameters import GradedWeights
from pynn_models.spinnaker.gated_words import Clock, SenderKeys, gated_words, shared_words
from pynn_models.spinnaker.gated_words import shared_size as words_shared
from pynn_models.spinnaker.tables import NORMAL, SIGMOID

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(["", "glu", "gsu"]), st.integers(1, 3), st.integers(0, 3))
def test_any_integers_equal_plain_python(seed, kind, branches, graded):
    """Shifts of 0 to 31, the ends of 32 bits, sums that saturate at every place."""
    rng = np.random.default_rng(seed)
    sources = tuple(int(n) for n in rng.integers(1, 8, graded))
    p = random_gated(rng, kind, branches=branches, sources=sources)
    arriving, values = random_inputs(rng, p, 6)
    sent = delayed(p, values)
    found = gated_input(
        p, [arriving[None, :, :, r] for r in range(p.n_receptors)], [s[None] for s in sent]
    ).u[0]
    for k in range(6):
        for h in range(3):
            assert found[k, h] == neuron_input(p, h, arriving[k, h], [s[k] for s in sent])


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_what_is_sent_is_the_membrane_rounded(seed):
    rng = np.random.default_rng(seed)
    p = random_gated(rng, "gsu", size=5)
    y = rng.integers(-(2**31), 2**31, (1, 4, 5)).astype(np.int32)
    found = sent_membranes(p, y)
    for k, h in np.ndindex(4, 5):
        assert found[0, k, h] == shifted(int(y[0, k, h]), int(p.send[h]))


@pytest.mark.parametrize(
    ("table", "entry", "exact"),
    [
        (SIGMOID, sigmoid_entry, lambda x: 1 / (1 + math.exp(-x))),
        (NORMAL, normal_entry, lambda x: math.erfc(-x * math.sqrt(0.5)) / 2),
    ],
)
def test_the_tables_are_within_1_1_units(table, entry, exact):
    """Entries are rounded values; between them and beyond, the error is below 1.1 of 2^-16."""
    assert table.entries.tolist() == [entry(i) for i in range(1025)]
    rng = np.random.default_rng(1)
    near = rng.integers(-9 * 2**16, 9 * 2**16, 20_000)
    ends = [-(2**31), 2**31 - 1, 0, -1, 1, 1023 << table.step_bits, 1024 << table.step_bits]
    for x in (*near.tolist(), *ends):
        wanted = exact(x / 2**15) if abs(x) < 700 * 2**15 else float(x > 0)
        assert abs(half(entry, table.step_bits, x) - 65536 * wanted) < 1.1


def test_sums_that_saturate_are_counted():
    rng = np.random.default_rng(0)
    p = random_gated(rng, "", sources=())
    p = dataclasses.replace(p, bias=np.array([1, 0, -1], np.int32))
    full = np.array([[[2**31 - 1, 5, -(2**31)]] * 2], np.int32)
    found = gated_input(p, [full])
    assert found.saturated == 4  # neurons 0 and 2, at both steps
    assert np.array_equal(found.u, full)


def test_the_words_that_neurons_share():
    rng = np.random.default_rng(3)
    p = random_gated(rng, "gsu", sources=(3, 2))
    longest = max(g.delay for g in p.graded)
    keys = [SenderKeys(0x1000, 0xFFFFFC00, 0, 4), SenderKeys(0x2000, 0xFFFFFC00, 3, 4)]
    words = shared_words(p, Clock(5, 20, True), keys)
    assert len(words) == words_shared(p, 2)
    slots = 1 << longest.bit_length()
    of_cell = [2, 1, 5, 20, 0, 0, 0, 4 + 2 * 6]
    assert words[:16].tolist() == [*of_cell, 2, 2, 2, 5, 2, slots - 1, 1, 8]
    table = words[16 : 16 + 513].view("<u2")
    assert np.array_equal(table[:1025], NORMAL.entries)
    first, second = p.graded
    rest = words[16 + 513 :].reshape(-1, 4).tolist()
    assert rest[0] == [first.receptor, first.delay, 0, 3]
    assert rest[1] == [second.receptor, second.delay, 3, 2]
    assert rest[2:] == [list(k) for k in keys]


def test_the_words_of_a_neuron():
    p = random_gated(np.random.default_rng(4), "glu", branches=1, sources=(3,))
    words = gated_words(p)
    b, g = p.branches, p.graded[0]
    assert words[:, 1].tolist() == p.bias.tolist()
    for h, row in enumerate(words[:, 4 + 12 :].tolist()):
        send, shift, value, gate, *constants, shifts, low, high = row
        assert (send, shift, value, gate) == (p.send[h], g.shift[h], 0, 0)
        assert constants == [getattr(b, n)[h, 0] for n in
                             ("value_bias", "gate_bias", "offset", "gain")]
        assert shifts == b.first[h, 0] + 256 * b.index[h, 0] + 65536 * b.last[h, 0]
        packed = np.array([low, high], "<i4").view("<i2").tolist()
        assert packed == [*g.weights[:, h].tolist(), 0]


def _refusal(change, message):
    with pytest.raises(FixedPointError, match=message):
        change()


def test_refusals():
    rng = np.random.default_rng(0)
    p = random_gated(rng, "gsu")
    b, g = p.branches, p.graded[0]
    arriving = [np.zeros((1, 2, 3), np.int32)] * 4
    _refusal(lambda: dataclasses.replace(b, kind="mlp"), "kind is 'mlp', expected one of glu, gsu")
    _refusal(lambda: dataclasses.replace(b, gate_bias=b.gate_bias[:2]), "gate_bias is int32 of")
    _refusal(lambda: dataclasses.replace(b, last=b.last + 40), "expected shifts of 0 to 31")
    _refusal(lambda: dataclasses.replace(g, weights=g.weights.astype(np.int32)), "expected int16")
    _refusal(lambda: dataclasses.replace(g, shift=g.shift[:1]), "int32 of shape")
    wide = np.full((200, 3), 2**15 - 1, np.int16)
    _refusal(lambda: GradedWeights(wide, g.shift, 0), r"sum \|W\| = 6553400, expected less than")
    _refusal(lambda: dataclasses.replace(p, bias=p.bias[:2]), r"bias is int32 of shape \(2,\)")
    biased = dataclasses.replace(p.cell, bias=np.ones(3, np.int32))
    _refusal(lambda: dataclasses.replace(p, cell=biased), "the cell has a bias of its own")
    _refusal(lambda: dataclasses.replace(p, graded=(dataclasses.replace(g, receptor=5),)),
             "onto receptor 5, expected 0 to 4")
    other = GradedWeights(g.weights[:, :2], g.shift[:2], 0)
    _refusal(lambda: dataclasses.replace(p, graded=(other,)), r"of \[2, 3\] neurons, expected 3")
    _refusal(lambda: gated_input(p, arriving), "4 sums of spikes and 0 graded sources, expected 5")
    late = dataclasses.replace(p, graded=(dataclasses.replace(g, delay=16),))
    _refusal(lambda: shared_words(late, Clock()), "a delay of 16 steps, expected at most 15")
