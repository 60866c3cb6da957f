"""Real values as signed integers of a few bits: the encoding, its units, what it loses, its file.
"""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.network_parts import refusal
from support.quantised_networks import quantised, real_samples

from export.description import describe
from export.description.encodings.quantised import quantise, values_of, weights_of_bits
from export.description.inspection import summary
from export.description.network import NetworkError, Source
from export.description.quantisation import Lost, Quantiser, lost, quantiser_for, with_lost
from export.description.storage import (
    NETWORK_FILE,
    StorageError,
    digest,
    load_network,
    network_of,
    parts_of,
    save_network,
)
from export.samples.inputs import InputError, QuantiserWarning, check_values, encode

VALUES = st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9) | st.just(0.0)
SAMPLES = arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)),
                 elements=VALUES)
BITS = st.integers(2, 16)


def source_of(bits, fraction):
    return Quantiser(bits, tuple(fraction)).source("input")


def by_hand(value, bits, fraction):
    """The integer of a value, in exact arithmetic."""
    scaled = Fraction(value) * Fraction(2) ** fraction
    return max(-(2 ** (bits - 1)), min(round(scaled), 2 ** (bits - 1) - 1))


# --- the encoding -------------------------------------------------------------------------------


@given(SAMPLES, BITS, st.data())
def test_an_integer_is_the_nearest_one_in_range(samples, bits, data):
    fraction = data.draw(st.lists(
        st.integers(-30, 30), min_size=samples.shape[1], max_size=samples.shape[1]
    ))
    found = quantise(source_of(bits, fraction), samples)
    for (b, c, k), value in np.ndenumerate(samples):
        assert found[b, c, k] == by_hand(float(value), bits, fraction[c])


@given(SAMPLES, BITS)
def test_the_sources_that_spike_weigh_what_the_value_is(samples, bits):
    fraction = list(range(samples.shape[1]))
    source = source_of(bits, fraction)
    emitted = source.kind.emit(source, samples)  # (B, L, C bits)
    assert emitted.dtype == np.uint8 and set(np.unique(emitted)) <= {0, 1}
    assert emitted.shape == (len(samples), samples.shape[2], source.size)
    identity = np.eye(samples.shape[1])
    weighed = emitted @ source.kind.expand(source, identity).T  # integers
    assert (weighed.transpose(0, 2, 1) == quantise(source, samples)).all()


def test_the_bits_of_some_integers():
    source = source_of(4, [2])
    values = np.array([0, 0.25, 1.75, -0.25, -2.0, 1.8, 5.0, -9.0, 0.125, 0.375])
    assert quantise(source, values[None, None])[0, 0].tolist() == [
        0, 1, 7, -1, -8, 7, 7, -8, 0, 2  # ties to the even one; beyond the range its ends
    ]
    assert source.kind.emit(source, values[None, None, :5])[0].tolist() == [
        [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1],
    ]
    assert weights_of_bits(4).tolist() == [1, 2, 4, -8]


@given(BITS, st.integers(-40, 40), st.data())
def test_what_an_integer_stands_for_has_that_integer(bits, fraction, data):
    source = source_of(bits, [fraction])
    integers = np.array(data.draw(st.lists(
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=1, max_size=9
    )))[None, None]
    assert (quantise(source, values_of(source, integers)) == integers).all()


def test_the_reach_counts_both_signs():
    """Of bits of both signs the sums on the way are larger than any value."""
    source = source_of(3, [0, 0])
    expanded = source.kind.expand(source, np.array([[1.0, 2.0]]))
    assert expanded.tolist() == [[1, 2, -4, 2, 4, -8]]
    assert source.kind.reach(source, expanded).tolist() == [21]
    assert source.kind.reach(source, np.abs(expanded)).tolist() == [21]


@pytest.mark.parametrize(("arguments", "said"), [
    ((1, 8), "0 fractions and 1 channels with encoding 'quantised'; expected one a channel"),
    ((2, 8, 0, (3,)), "1 fractions and 2 channels"),
    ((1, 1, 0, (3,)), "1 bits in units of 2^-f, f of 3 to 3; expected 2 to 16 bits"),
    ((1, 8, 0, (97,)), "f of 97 to 97; expected 2 to 16 bits, one for the sign, and f of -96 to "),
    ((1, 17, 0, (3,)), "17 bits a channel with encoding 'quantised'; expected 1 to 16"),
    ((1, 8, 4, (3,)), "4 symbols, 1 channels and 8 bits"),
])
def test_a_source_that_contradicts_itself(arguments, said):
    assert said in refusal(Source, "input", "quantised", *arguments)


def test_fractions_of_another_encoding():
    said = refusal(Source, "input", "bits", 1, 8, 0, (3,))
    assert "1 fractions and 1 channels with encoding 'bits'" in said


# --- units that suit samples --------------------------------------------------------------------


@given(SAMPLES.filter(np.any), BITS)
def test_units_are_the_finest_that_cut_nothing_off(samples, bits):
    found = quantiser_for(samples, bits)
    source = found.source("input")
    off = np.abs(values_of(source, quantise(source, samples)) - samples)
    for c, f in enumerate(found.fraction):
        assert off[:, c].max() <= 2.0 ** -f / 2
        finer = [by_hand(float(x), 60, f + 1) for x in samples[:, c].ravel()]
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        if samples[:, c].any():
            assert min(finer) < low or max(finer) > high
        else:
            active = samples.any(axis=(0, 2))
            assert f == min(np.array(found.fraction)[active])


def test_units_of_known_ranges():
    def units(*values, bits=8):
        return quantiser_for(np.array(values, float)[None, None], bits).fraction[0]

    assert units(1.0) == 6 and units(-1.0) == 7  # -128 of 1 / 128 is in the range
    assert units(127 / 128) == 7 and units(127.4 / 128) == 7 and units(127.5 / 128) == 6
    assert units(100.0, -128.0) == 0 and units(3e5) == -12
    assert quantiser_for(np.zeros((1, 1, 3)) + 1e-15).fraction == (60,)
    assert quantiser_for(np.array([[[-3]]], np.int16), 4).fraction == (1,)


@pytest.mark.parametrize(("samples", "bits", "said"), [
    (np.ones((1, 1, 2)), 1, "real values in 1 bits; expected 2 to 16, one of them for the sign"),
    (np.ones((1, 1, 2)), 17, "real values in 17 bits"),
    (np.zeros((1, 1, 2)), 8, "nothing but 0, from which no range follows"),
    (np.array([[[1.0, np.nan]]]), 8, "not all finite"),
    (np.array([[[1e-40]]]), 8, "reach 1e-40, and in one channel 1e-40; expected values that 8 "),
    (np.array([[[1e38]]]), 8, "reach 1e[+]38"),
])
def test_samples_without_units(samples, bits, said):
    with pytest.raises(NetworkError, match=said):
        quantiser_for(samples, bits)


# --- what is lost -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(SAMPLES, BITS, st.integers(-4, 4))
def test_what_is_lost_of_samples(samples, bits, fraction):
    source = source_of(bits, [fraction] * samples.shape[1])
    found = lost(source, samples)
    integers = np.vectorize(lambda x: by_hand(float(x), bits, fraction))(samples)
    off = np.abs(integers * 2.0 ** -fraction - samples)
    assert (found.samples, found.values) == (len(samples), samples.size)
    np.testing.assert_allclose(found.largest_error, off.max((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.rms_error, np.sqrt((off**2).mean((0, 2))), rtol=1e-12)
    np.testing.assert_allclose(found.rms, np.sqrt((samples**2).mean((0, 2))), rtol=1e-12)
    assert found.largest == tuple(np.abs(samples).max((0, 2)))
    wide = np.vectorize(lambda x: by_hand(float(x), 60, fraction))(samples)
    assert found.cut_off == tuple((wide != integers).sum((0, 2)))
    assert Lost.of_entry(json.loads(json.dumps(found.entry()))) == found


@given(st.integers(0, 99), st.integers(1, 6))
def test_what_is_lost_of_two_parts_is_that_of_the_whole(seed, first):
    samples = real_samples(seed, 7)
    source = quantiser_for(samples[:2], 5).source("input")
    whole, both = lost(source, samples), lost(source, samples[:first]).plus(
        lost(source, samples[first:])
    )
    assert (whole.samples, whole.values) == (both.samples, both.values)
    assert whole.cut_off == both.cut_off and whole.largest_error == both.largest_error
    np.testing.assert_allclose(whole.rms, both.rms)
    np.testing.assert_allclose(whole.rms_error, both.rms_error)


def test_in_words_it_is_that_of_the_channel_that_lost_most():
    samples = np.array([[[1.0, -1.0], [0.5, 4.0]]])
    found = lost(source_of(4, [2, 0]), samples)
    assert found.words() == (
        "of 1 samples, channel 1 of 2, the worst: off by 0.5 at most, by 0.354 in the mean (rms), "
        "12.403% of the signal's 2.85; 0 of 4 values cut off"
    )
    alone = lost(source_of(4, [2]), samples[:, 1:]).words()
    assert alone.startswith("of 1 samples, off by 2.25 at most") and "1 of 2 values cut" in alone


# --- in a network -------------------------------------------------------------------------------


def test_a_network_is_kept_with_its_units(tmp_path):
    _, network, samples = quantised(bits=6)
    network = with_lost(network, samples)
    save_network(network, tmp_path / "net")
    found = load_network(tmp_path / "net")
    assert found.source == network.source and found.origin == network.origin
    assert digest(found) == digest(network)
    stored = json.loads((tmp_path / "net" / NETWORK_FILE).read_text())
    assert stored["source"] == {
        "name": "input", "encoding": "quantised", "channels": 2, "bits": 6,
        "fraction": list(network.source.fraction),
    }


@pytest.mark.parametrize(("place", "value", "said"), [
    (("source", "fraction"), 3, "source.fraction is 3"),
    (("source", "fraction"), [1.5, 2], r"source.fraction is \[1.5, 2\]"),
    (("source", "fraction"), [True, 2], r"source.fraction is \[True, 2\]"),
    (("origin", "quantiser"), 3, "origin.quantiser is 3, no table"),
    (("origin", "quantiser"), {"samples": 3}, r"origin.quantiser has \['samples'\]"),
    (("origin", "quantiser", "rms"), [1.0], "origin.quantiser is not of 2 channels"),
    (("origin", "quantiser", "rms"), [1.0, -1.0], r"origin.quantiser.rms is \[1.0, -1.0\]"),
    (("origin", "quantiser", "values"), "many", "origin.quantiser.values is 'many'"),
])
def test_a_file_that_says_something_else(place, value, said):
    _, network, samples = quantised(bits=6)
    description, stored = parts_of(with_lost(network, samples))
    table = description = json.loads(json.dumps(description))
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    with pytest.raises(StorageError, match=said):
        network_of(description, stored, "the file")


def test_it_is_described():
    _, network, samples = quantised(bits=6)
    assert network.source.fraction == (3, 6)
    text = describe(with_lost(network, samples))
    assert "2 channel(s) of real values as quantised, 12 source(s)" in text
    assert "quantised to 6 bits, channel 0: -4 to 3.875, rounded by 0.0625 at most" in text
    assert "quantised to 6 bits, channel 1: -0.5 to 0.484375, rounded by 0.00781 at most" in text
    assert "quantised, of 3 samples, channel" in text and "0 of 120 values cut off" in text
    assert "of 3 samples" not in describe(network)
    found = summary(with_lost(network, samples))["input"]
    assert (found["bits"], found["fraction"], found["quantiser"]["values"]) == (6, [3, 6], 120)
    assert summary(network)["input"].keys() == {"encoding", "sources", "bits", "fraction"}


def test_many_channels_are_described_by_the_first():
    _, network, _ = quantised(inputs=10)
    text = describe(network)
    assert text.count("quantised to 8 bits") == 8 and "... 2 more channels" in text


def test_values_beyond_the_range_are_said():
    _, network, samples = quantised(bits=6)  # -4 to 3.875, and -0.5 to 0.484
    check_values(network, samples)  # in range: no warning, which pytest would make an error
    edge = samples.copy()
    edge[0, 0, :2] = 3.875 + 0.0624, -4.0625
    edge[0, 1, 0] = -0.5 - 2.0**-7
    check_values(network, edge)
    edge[0, 1, 0] = 0.5
    with pytest.warns(QuantiserWarning, match=r"channel\(s\) 1 of the input 'input' have values "
                      r"beyond those that it was quantised for \(1: -0.5 to 0.484375\)"):
        found = encode(network, edge)
    assert found[0, 0].tolist()[6:] == [1, 1, 1, 1, 1, 0]
    edge[0, 0, 0] = np.inf
    with pytest.raises(InputError, match="is inf; expected a finite number"):
        check_values(network, edge)
