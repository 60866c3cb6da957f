"""The description of a network: what it refuses, and what it says then."""

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.network_parts import cell, parts, refusal, refused
from support.random_networks import network_of

from export.description.network import (
    Network,
    NetworkError,
    Population,
    Projection,
    Readout,
    Source,
)
from pynn_models import SnnSsmError


def with_projection(*arguments):
    return parts()["projections"] + (Projection(*arguments),)


def test_a_sound_network():
    network = Network(**parts())
    assert [p.name for p in network.layers] == ["layer"]
    assert [p.source for p in network.incoming("readout")] == ["layer", "input"]
    assert network.max_delay == 2 and network.population("layer").size == 3


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_random_networks_keep_the_alignment_rule(seed, layers, tied):
    network = network_of(seed, layers=layers, tied=tied)
    latency = {"input": 0} | {p.name: p.latency for p in network.populations}
    for projection in network.projections:
        assert projection.delay == latency[projection.target] - latency[projection.source] >= 1
    assert len(network.layers) == layers


@pytest.mark.parametrize("timestep", [0.0, -1.0, math.nan, math.inf])
def test_a_timestep(timestep):
    message = refused(timestep=timestep)
    assert f"timestep is {timestep} ms; expected a positive number" in message
    assert "--timestep" in message


@pytest.mark.parametrize("steps", [0, -4])
def test_the_steps_of_a_sample(steps):
    assert f"a sample has {steps} steps; expected at least 1" in refused(steps=steps)


def test_an_encoding():
    message = refusal(Source, "input", "rate", 1, 2)
    assert message == (
        "input 'input': encoding 'rate' is unknown; use one of bits, current, token, spikes."
    )


def test_channels():
    assert "input 'in': 0 channels; expected at least 1" in refusal(Source, "in", "bits", 0, 2)


@pytest.mark.parametrize(("encoding", "bits"), [
    ("bits", 0), ("bits", -1), ("bits", 17), ("current", -1), ("current", 17),
])
def test_bits(encoding, bits):
    message = refusal(Source, "input", encoding, 1, bits)
    assert f"{bits} bits a channel with encoding {encoding!r}; expected 1 to 16" in message
    assert "Real-valued input needs the encoding 'current'" in message


def test_the_size_of_an_input():
    assert Source("input", "bits", 3, 4).size == 12
    assert Source("input", "current", 3, 4).size == Source("input", "current", 3).size == 3
    assert Source("input", "token", 1, symbols=9).size == 9
    assert Source("input", "spikes", 5).size == 5


@pytest.mark.parametrize(("encoding", "channels", "bits", "symbols"), [
    ("token", 1, 0, 0), ("token", 2, 0, 5), ("token", 1, 3, 5), ("token", 1, 0, -1),
    ("bits", 1, 3, 5), ("current", 1, 0, 5), ("spikes", 2, 0, 5),
])
def test_symbols_are_of_tokens_and_of_one_channel(encoding, channels, bits, symbols):
    message = refusal(Source, "in", encoding, channels, bits, symbols)
    assert message == (
        f"input 'in': {symbols} symbols, {channels} channels and {bits} bits with encoding "
        f"{encoding!r}; expected one channel of symbols with 'token', and no symbols otherwise."
    )


@pytest.mark.parametrize("latency", [0, -1])
def test_a_latency(latency):
    message = refusal(Population, "layer", cell(3), latency)
    assert message.startswith(f"population 'layer': latency {latency}; expected at least 1 step")


@pytest.mark.parametrize("shape", [(3,), (), (2, 3, 1)])
def test_weights_of_the_wrong_dimension(shape):
    message = refusal(Projection, "a", "b", np.ones(shape), 1)
    assert message == f"projection 'a' -> 'b': weights of shape {shape}; expected (pre, post)."


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite(bad):
    weights = np.ones((2, 3))
    weights[1, 2] = bad
    message = refusal(Projection, "a", "b", weights, 1)
    assert f"projection 'a' -> 'b': weight [1, 2] is {bad}; expected a finite number" in message
    assert "export a sound checkpoint" in message


@pytest.mark.parametrize("delay", [0, -1])
def test_a_delay_below_one_step(delay):
    message = refusal(Projection, "a", "b", np.ones((2, 3)), delay)
    assert message == f"projection 'a' -> 'b': delay {delay}; expected at least 1 step."


def test_weights_are_read_only_copies_in_float64():
    mine = np.asfortranarray(np.ones((2, 3), np.float32))
    projection = Projection("a", "b", mine, 1)
    mine[:] = 7
    assert (projection.weights == 1).all()
    assert projection.weights.dtype == np.float64 and projection.weights.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        projection.weights[0, 0] = 2
    with pytest.raises(FrozenInstanceError):
        projection.delay = 2


def test_a_pooling():
    message = refusal(Readout, "readout", "max")
    assert message == "readout: pooling 'max'; use one of mean, last, filter."


@pytest.mark.parametrize("name", ["input", "layer"])
def test_a_name_that_is_used_twice(name):
    populations = parts()["populations"] + (Population(name, cell(1), 3),)
    assert f"the name {name!r} is used twice" in refused(populations=populations)


@pytest.mark.parametrize(("pre", "post", "missing"), [
    ("nowhere", "layer", "nowhere"), ("layer", "nowhere", "nowhere"),
])
def test_a_projection_to_or_from_nowhere(pre, post, missing):
    message = refused(projections=with_projection(pre, post, np.ones((2, 3)), 1))
    assert f"projection {pre!r} -> {post!r}: there is no {missing!r}" in message
    assert "there are input, layer, readout" in message


def test_a_projection_onto_the_input():
    message = refused(projections=with_projection("layer", "input", np.ones((3, 2)), 1))
    assert message == "projection 'layer' -> 'input': the input cannot be a target."


def test_a_projection_that_stands_twice():
    message = refused(projections=with_projection("input", "layer", np.ones((2, 3)), 1))
    assert message == "projection 'input' -> 'layer': stands twice; add the weights instead."


@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (1, 3)])
def test_weights_that_do_not_fit_their_ends(shape):
    rest = parts()["projections"][1:]
    message = refused(projections=(Projection("input", "layer", np.ones(shape), 1), *rest))
    assert f"projection 'input' -> 'layer': weights of shape {shape}; expected (2, 3)" in message
    assert "the sizes of 'input' and 'layer'" in message


@pytest.mark.parametrize("delay", [2, 3])
def test_a_delay_that_breaks_the_alignment(delay):
    rest = parts()["projections"][1:]
    message = refused(projections=(Projection("input", "layer", np.ones((2, 3)), delay), *rest))
    assert message == (
        f"projection 'input' -> 'layer': delay {delay} steps; expected 1, the difference of the "
        "latencies 0 and 1."
    )


@pytest.mark.parametrize(("pre", "post"), [("other", "layer"), ("layer", "layer")])
def test_a_projection_backwards(pre, post):
    populations = (*parts()["populations"], Population("other", cell(3), 2))
    projections = with_projection(pre, post, np.ones((3, 3)), 1)
    message = refused(populations=populations, projections=projections)
    assert f"projection {pre!r} -> {post!r}: delay 1 steps; expected" in message


def test_populations_out_of_order():
    """Backends run populations in order: one that feeds an earlier one must come first."""
    message = refused(populations=parts()["populations"][::-1])
    assert message == (
        "population 'layer': latency 1 comes after that of 'readout', 2; expected populations in "
        "order of latency."
    )


def test_a_projection_out_of_the_readout():
    populations = parts()["populations"] + (Population("last", cell(1), 3),)
    projections = with_projection("readout", "last", np.ones((2, 1)), 1)
    message = refused(populations=populations, projections=projections)
    assert message == (
        "projection 'readout' -> 'last': 'readout' never spikes; leave this out, or make it graded."
    )
    projections = with_projection("readout", "last", np.ones((2, 1)), 1, "input", True)
    message = refused(populations=populations, projections=projections)
    assert message == (
        "projection 'readout' -> 'last': the readout answers when a sample ends; leave this out."
    )


@pytest.mark.parametrize("name", ["input", "nowhere"])
def test_a_readout_that_is_no_population(name):
    message = refused(readout=Readout(name, "mean"))
    assert f"readout: there is no population {name!r}; there are layer, readout" in message


def test_a_readout_that_could_spike():
    message = refused(readout=Readout("layer", "mean"))
    assert "readout 'layer': a finite threshold; expected inf" in message


def test_an_unknown_population_is_named_with_the_known_ones():
    message = refusal(Network(**parts()).population, "hidden")
    assert message == "there is no population 'hidden'; there are layer, readout."


def test_a_changed_copy_is_validated_again():
    with pytest.raises(NetworkError, match="timestep is 0 ms"):
        replace(Network(**parts()), timestep=0)
    assert issubclass(NetworkError, SnnSsmError)
