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
        "input 'input': encoding 'rate' is unknown; use one of bits, current, token, spikes, "
        "quantised."
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
    assert message == (
        "projection 'input' -> 'layer': stands twice, with the delay 1; add the weights instead."
    )


@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (1, 3)])
def test_weights_that_do_not_fit_their_ends(shape):
    rest = parts()["projections"][1:]
    message = refused(projections=(Projection("input", "layer", np.ones(shape), 1), *rest))
    assert f"projection 'input' -> 'layer': weights of shape {shape}; expected (2, 3)" in message
    assert "the sizes of 'input' and 'layer'" in message


@pytest.mark.parametrize("delay", [1, np.array([[2, 1], [2, 2]])])
def test_a_delay_that_breaks_the_alignment(delay):
    first, second, _ = parts()["projections"]
    third = Projection("input", "readout", np.ones((2, 2)), delay)
    message = refused(projections=(first, second, third))
    assert message == (
        "projection 'input' -> 'readout': delay 1 steps; expected at least 2, the difference of "
        "the latencies 0 and 2."
    )


@pytest.mark.parametrize(
    ("pre", "post", "delay", "lag"),
    [("other", "layer", 1, 2), ("layer", "layer", 1, 1), ("layer", "other", 4, 3)],
)
def test_projections_in_any_direction_and_their_lag(pre, post, delay, lag):
    populations = (*parts()["populations"], Population("other", cell(3), 2))
    projections = with_projection(pre, post, np.ones((3, 3)), delay)
    network = Network(**parts(populations=populations, projections=projections))
    assert network.max_lag == lag == delay - network.lead(projections[-1])
    assert network.max_delay == max(delay, 2) and network.min_delay == 1


def test_projections_between_the_same_ends_differ_in_delay():
    weights, each = np.ones((2, 3)), np.array([[1, 2, 1], [3, 1, 1]])
    taps = with_projection("input", "layer", weights, 4)
    several = (*taps, Projection("input", "layer", weights, each))
    network = Network(**parts(projections=several))
    ends = ("input", "layer")
    keys = [network.key(p) for p in network.projections if (p.source, p.target) == ends]
    assert keys == [ends, (*ends, "2"), (*ends, "3")]
    message = refused(projections=(*several, Projection("input", "layer", weights, each)))
    assert message == (
        "projection 'input' -> 'layer': stands twice, with the delay a synapse; give all but one "
        "of them one delay each."
    )


@pytest.mark.parametrize("change", [{"delay": 2}, {"mask": np.eye(2, 3, dtype=bool)}])
def test_currents_reach_all_at_once(change):
    first, *rest = parts()["projections"]
    late = replace(first, **change)
    message = refused(source=Source("input", "current", 2, 2), projections=(late, *rest))
    assert message == (
        "projection 'input' -> 'layer': a current arrives from every neuron at once; expected all "
        "weights and the one delay 1. Send spikes: export with --input bits."
    )


def test_membranes_reach_all_at_once():
    late = Projection("layer", "layer", np.ones((3, 3)), 1, graded=True)
    message = refused(projections=(*parts()["projections"], late))
    assert message == (
        "projection 'layer' -> 'layer': a membrane arrives from every neuron at once; expected all "
        "weights and the one delay 0. Send spikes."
    )


# --- single synapses --------------------------------------------------------------------------


def test_a_mask_says_which_synapses_exist():
    mask = np.array([[True, False, True], [False, False, True]])
    projection = Projection("a", "b", np.arange(6.0).reshape(2, 3), 3, mask=mask)
    assert projection.weights.tolist() == [[0, 0, 2], [0, 0, 5]]
    found = projection.synapses()
    assert (projection.n_synapses, projection.sparse) == (3, True)
    assert [v.tolist() for v in found] == [[0, 0, 1], [0, 2, 2], [0.0, 2.0, 5.0], [3, 3, 3]]
    with pytest.raises(ValueError, match="read-only"):
        projection.mask[0, 0] = False


def test_a_delay_a_synapse():
    delay = np.array([[1, 9], [3, 2]])
    projection = Projection("a", "b", np.ones((2, 2)), delay, mask=np.array([[1, 0], [1, 1]]) > 0)
    assert (projection.shortest_delay, projection.longest_delay) == (1, 3)
    assert projection.synapses().delays.tolist() == [1, 3, 2]


def test_what_all_synapses_share_is_kept_once():
    all_there = np.ones((2, 2), bool)
    projection = Projection("a", "b", np.ones((2, 2)), np.full((2, 2), 4), mask=all_there)
    assert projection.delay == 4 and projection.mask is None and not projection.sparse
    assert (projection.shortest_delay, projection.longest_delay, projection.n_synapses) == (4, 4, 4)


@pytest.mark.parametrize(("change", "expected"), [
    ({"mask": np.ones((2, 2), bool)}, "a mask of bool and shape (2, 2); expected bool"),
    ({"mask": np.ones((2, 3))}, "a mask of float64 and shape (2, 3); expected bool"),
    ({"delay": 1.5}, "delays of float64 and shape (); expected whole numbers of steps"),
    ({"delay": np.ones((3, 2), int)}, "delays of int64 and shape (3, 2); expected whole numbers"),
    ({"delay": np.array([[1, 1, 1], [1, 0, 2]])}, "delay 0; expected at least 1 step."),
    ({"delay": 2**24 + 1}, "delay 16777217; expected at least 1 step, and at most 16777216."),
    ({"delay": np.ones((2, 3), int), "mask": np.zeros((2, 3), bool)}, "there is no synapse"),
])
def test_synapses_that_cannot_be(change, expected):
    arguments = {"source": "a", "target": "b", "weights": np.ones((2, 3)), "delay": 1} | change
    assert expected in refusal(Projection, **arguments)


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
