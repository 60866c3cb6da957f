"""Samples -> what the input emits: bit planes there and back, and which samples are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.gated_networks import gated_network_of, samples_for
from support.random_networks import network_of, network_samples

from export.description.encodings.bits import bit_planes
from export.description.encodings.token import one_hot
from export.description.network import Source
from export.samples.inputs import InputError, encode
from export.software import run
from pynn_models import SnnSsmError
from snn_ssm.tasks import DataError, Samples


@given(st.integers(1, 16), st.data())
def test_bit_planes_there_and_back(bits, data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=5))
    samples = data.draw(hnp.arrays(np.uint16, shape, elements=st.integers(0, 2**bits - 1)))
    batch, channels, steps = shape
    planes = bit_planes(Source("input", "bits", channels, bits), samples)
    assert planes.shape == (batch, steps, channels * bits)
    assert set(np.unique(planes)) <= {0, 1}
    values = planes.reshape(batch, steps, channels, bits).astype(int) @ (2 ** np.arange(bits))
    assert (values.transpose(0, 2, 1) == samples).all()


def test_source_c_bits_plus_j_carries_bit_j_of_channel_c():
    samples = np.array([[[0b01], [0b10]]])  # one sample, two channels, one step
    assert bit_planes(Source("input", "bits", 2, 2), samples).tolist() == [[[1, 0, 0, 1]]]


def test_bits_are_spikes_and_currents_are_values():
    network = network_of(2)
    samples = network_samples(network)
    assert encode(network, samples).dtype == np.uint8
    network = network_of(2, encoding="current")
    currents = encode(network, samples)
    assert currents.dtype == np.float64 and currents.flags.c_contiguous
    assert (currents == samples.transpose(0, 2, 1)).all()


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_a_symbol_is_one_spike_of_its_own_source(symbols, batch, steps, seed):
    samples = np.random.default_rng(seed).integers(0, symbols, (batch, 1, steps))
    spikes = one_hot(Source("input", "token", 1, symbols=symbols), samples)
    assert spikes.shape == (batch, steps, symbols) and spikes.dtype == np.uint8
    assert (spikes.sum(axis=2) == 1).all()
    assert (spikes.argmax(axis=2) == samples[:, 0]).all()


def test_tokens_and_events_are_spikes():
    network = gated_network_of(1, encoding="token")
    samples = samples_for(network)
    assert (encode(network, samples) == one_hot(network.source, samples)).all()
    network = gated_network_of(1, encoding="spikes")
    samples = samples_for(network)
    events = encode(network, samples)
    assert events.dtype == np.uint8 and events.flags.c_contiguous
    assert (events == samples.transpose(0, 2, 1)).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64])
def test_the_type_of_the_numbers_does_not_matter(kind):
    network = network_of(2)
    samples = network_samples(network)
    assert (encode(network, samples.astype(kind)) == encode(network, samples)).all()


def refusal(network, samples):
    with pytest.raises(InputError) as caught:
        encode(network, samples)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("cut", [
    lambda s: s[0], lambda s: s[:, :, :-1], lambda s: s[:, :0], lambda s: s.transpose(0, 2, 1),
    lambda s: s[:0], lambda s: s[..., None],
], ids=["one sample", "too short", "no channel", "transposed", "no sample", "four axes"])
def test_samples_of_the_wrong_shape(encoding, cut):
    network = network_of(2, encoding=encoding)
    samples = cut(network_samples(network))
    message = refusal(network, samples)
    channels = network.source.channels
    assert f"samples have shape {samples.shape}; the input 'input' expects" in message
    assert f"(B, {channels}, 12), B at least 1" in message


@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite(encoding, bad):
    network = network_of(2, encoding=encoding)
    samples = network_samples(network).astype(float)
    samples[1, 0, 5] = bad
    message = refusal(network, samples)
    assert f"sample element [1, 0, 5] is {bad}; expected a finite number" in message


@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("bad", [-1, 0.5, 2**4, 1e9])
def test_a_value_out_of_the_inputs_range(encoding, bad):
    network = network_of(2, encoding=encoding)
    samples = network_samples(network).astype(float)
    bits = network.source.bits
    samples[2, 0, 3] = 2**bits if bad == 2**4 else bad
    message = refusal(network, samples)
    assert f"sample element [2, 0, 3] is {samples[2, 0, 3]}" in message
    assert f"expects integers of {bits} bits, 0 to {2**bits - 1}" in message
    assert "Quantise the samples" in message


@pytest.mark.parametrize("bad", [-1, 5, 0.5, 1e9])
def test_a_symbol_that_there_is_none_of(bad):
    network = gated_network_of(1, encoding="token")
    samples = samples_for(network).astype(float)
    samples[2, 0, 3] = bad
    assert refusal(network, samples) == (
        f"sample element [2, 0, 3] is {samples[2, 0, 3]}; the input 'input' expects one of 5 "
        "symbols, 0 to 4. Number the symbols as in training."
    )


@pytest.mark.parametrize("bad", [-1, 2, 0.5])
def test_an_event_that_is_none(bad):
    network = gated_network_of(1, encoding="spikes")
    samples = samples_for(network).astype(float)
    samples[1, 1, 0] = bad
    assert refusal(network, samples) == (
        f"sample element [1, 1, 0] is {samples[1, 1, 0]}; the input 'input' expects no spike or a "
        "spike, 0 to 1. Give events a step, or export with --input bits or current."
    )


@pytest.mark.parametrize(("encoding", "channels"), [("token", 1), ("spikes", 2)])
def test_symbols_and_events_of_the_wrong_shape_or_not_finite(encoding, channels):
    network = gated_network_of(1, encoding=encoding)
    samples = samples_for(network).astype(float)
    message = refusal(network, samples[..., 1:])
    assert f"(B, {channels}, 9), B at least 1" in message
    samples[0, 0, 0] = np.nan
    assert "sample element [0, 0, 0] is nan; expected a finite number" in refusal(network, samples)


def test_real_values_are_currents():
    network = network_of(2, encoding="current")
    source = Source("input", "current", network.source.channels)
    object.__setattr__(network, "source", source)
    samples = np.random.default_rng(0).normal(size=(2, source.channels, 12))
    assert (encode(network, samples) == samples.transpose(0, 2, 1)).all()


def test_errors_are_the_projects_own():
    assert issubclass(InputError, SnnSsmError)


# --- what is given in place of an array -------------------------------------------------------


def test_lists_and_tensors_are_arrays():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = network_of(3)
    samples = network_samples(network)
    expected = run(network, samples).spikes
    for one in (samples.tolist(), torch.from_numpy(samples)):
        assert (encode(network, one) == encode(network, samples)).all()
        found = run(network, one).spikes
        assert all((found[name] == spikes).all() for name, spikes in expected.items())
        assert (Samples(one, [0, 1, 2]).inputs == samples).all()


@pytest.mark.parametrize(("given", "said"), [
    ([[[1, 2], [3]]], "samples are no array (setting an array element with a sequence"),
    ([[["1", "2"]]], "samples are of type <U1; expected real numbers"),
    (object(), "samples are of type object; expected real numbers"),
    (7, "samples have shape (); the input 'input' expects (B, channels, steps)"),
])
def test_what_is_no_array_is_refused(given, said):
    with pytest.raises(InputError) as caught:
        run(network_of(3), given)
    assert str(caught.value).startswith(said)


def test_a_tensor_that_needs_gradients_is_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    given = torch.zeros(1, 1, 12, requires_grad=True)
    with pytest.raises(InputError, match=r"Give a NumPy array, for example tensor.detach\(\)"):
        run(network_of(3), given)
    with pytest.raises(DataError, match="inputs are no array"):
        Samples(given, [0])
