"""A signal step by step: the batch run bit for bit, its state kept, copied, saved and restored."""

from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import KINDS, gated_network_of, leaky_network_of, lowered, samples_for
from support.looped_networks import looped_network_of
from support.random_networks import network_of

from export.description.network import Readout
from export.description.readouts import POOLINGS
from export.samples.inputs import InputError
from export.samples.readout import accumulated_logits
from export.software.simulation import run
from export.streaming import Session, StreamError, stream
from snn_ssm.files import FileError, read_sealed, seal_arrays


def networks():
    yield from (lowered(kind)[1] for kind in KINDS)
    yield from (network_of(0), network_of(1, encoding="current"), leaky_network_of(2))
    yield gated_network_of(3, "gsu", encoding="token")
    yield from (looped_network_of(seed) for seed in range(6))
    yield from (looped_network_of(seed, encoding="current") for seed in (7, 8))
    yield looped_network_of(9, cells="lif")


def words(network):
    return f"{network.cells} {network.source.encoding}"


@pytest.mark.parametrize("network", list(networks()), ids=words)
def test_every_step_of_a_stream_is_that_of_the_batch(network):
    samples = samples_for(network, 3)
    name, terms = network.readout.population, network.readout.kind.terms
    recording = run(network, samples, membranes=[name])
    session = Session(network)
    cuts = np.random.default_rng(0).integers(1, 9, 1000)
    signal, start, answers = np.concatenate(list(samples), axis=1), 0, []
    for n in cuts:
        if start < signal.shape[1]:
            answers += session.steps(signal[:, start : start + n])
            start += n
    assert len(answers) == 3 * network.steps
    for b in range(3):
        own = answers[b * network.steps : (b + 1) * network.steps]
        assert [a.step for a in own] == list(range(1, network.steps + 1))
        assert {a.sample for a in own} == {b}
        assert [a.final for a in own] == [False] * (network.steps - 1) + [True]
        expected = recording.membranes[name][b] / [[terms(k)] for k in range(1, network.steps + 1)]
        assert (np.array([a.scores for a in own]) == expected).all()
    final = np.array([a.scores for a in answers if a.final])
    assert (final == accumulated_logits(network, recording)).all()
    assert session.computed == 3 * network.steps


def test_a_step_of_one_value_a_channel():
    network = network_of(0)
    [sample] = samples_for(network, 1)
    one, two = stream(network), stream(network)
    block = two.steps(sample)
    for k, values in enumerate(sample.T):
        answer = one.step(list(values))
        assert (answer.scores == block[k].scores).all() and answer.label == block[k].label


@pytest.mark.parametrize("kind", ["glu", "gsu", "lif", "looped"])
def test_a_state_is_copied_saved_and_restored_bit_for_bit(kind, tmp_path):
    network = looped_network_of(3) if kind == "looped" else lowered(kind)[1]
    samples = samples_for(network)
    session = Session(network)
    session.steps(samples[0])
    session.steps(samples[1][:, :7])
    session.save(tmp_path / "state")
    other, loaded = session.copy(), Session.load(network, tmp_path / "state")
    expected = session.steps(samples[1][:, 7:])
    for again in (other, loaded):
        assert (again.sample, again.taken) == (1, 7)
        found = again.steps(samples[1][:, 7:])
        assert [a.scores.tolist() for a in found] == [a.scores.tolist() for a in expected]
        assert [(a.sample, a.step, a.final) for a in found] == [
            (a.sample, a.step, a.final) for a in expected
        ]


def test_a_state_of_another_network_or_altered_is_refused(tmp_path):
    network = network_of(0)
    Session(network).save(tmp_path / "state")
    with pytest.raises(StreamError, match="is the state of another network"):
        Session.load(network_of(1), tmp_path / "state")
    data = bytearray((tmp_path / "state").read_bytes())
    data[-1] ^= 1
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(FileError, match="was altered"):
        Session.load(network, tmp_path / "state")


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({}, {"sample": "-1"}), ({}, {"taken": "12"}), ({}, {"taken": "x"}),
        ({"layer0.0": np.zeros(3)}, {}), ({"layer0.0": None}, {}), ({"answer": np.zeros(99)}, {}),
    ],
    ids=str,
)
def test_a_sealed_file_of_nonsense_is_refused(arrays, metadata, tmp_path):
    network = network_of(0)
    Session(network).save(tmp_path / "state")
    held, said = read_sealed(tmp_path / "state", "state", "")
    held = {k: v for k, v in (held | arrays).items() if v is not None}
    (tmp_path / "state").write_bytes(seal_arrays(held, said | metadata))
    with pytest.raises(StreamError, match="holds no state of this network"):
        Session.load(network, tmp_path / "state")


def test_a_step_is_one_step():
    session = Session(gated_network_of(0))  # of two channels
    with pytest.raises(InputError, match="shape"):
        session.step(np.zeros((2, 3), int))
    assert session.taken == 0


def test_restart_leaves_a_sample(tmp_path):
    network = network_of(0)
    one, two = samples_for(network, 2)
    session = Session(network)
    session.steps(one[:, :5])
    session.restart()
    found = session.steps(two)
    assert {a.sample for a in found} == {1}
    assert [a.scores.tolist() for a in found] == [
        a.scores.tolist() for a in Session(network).steps(two)
    ]


def of_last_steps(network):
    """The same network with the readout ``last``."""
    bias = network.population(network.readout.population).cell.bias
    populations = tuple(
        replace(p, cell=POOLINGS["last"].accumulator(bias))
        if p.name == network.readout.population else p
        for p in network.populations
    )  # fmt: skip
    readout = Readout(network.readout.population, "last")
    return replace(network, populations=populations, readout=readout)


def test_an_endless_signal_is_one_long_sample():
    network = of_last_steps(network_of(0))
    signal = np.concatenate(list(samples_for(network, 3)), axis=1)
    longer = replace(network, steps=signal.shape[1])
    expected = run(longer, signal[None], membranes=["readout"]).membranes["readout"][0]
    answers = Session(network, endless=True).steps(signal)
    assert (np.array([a.scores for a in answers]) == expected).all()
    assert not any(a.final for a in answers) and answers[-1].step == signal.shape[1]


def test_an_endless_mean_is_refused():
    network = lowered("glu")[1]
    with pytest.raises(StreamError, match="the 'mean' of a sample's 20 steps, which has no end"):
        Session(network, endless=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]], r"shape \(1, 2\)"),
        ([["a"], ["b"]], "type <U1"),
        ([[1], [2, 3]], "are no array"),
        ([[1], [99]], "expects integers of 3 bits"),
        ([[1], [np.nan]], "expected a finite number"),
    ],
)
def test_values_that_are_no_step_are_refused_and_nothing_is_taken(values, message):
    network = gated_network_of(0)  # two channels of 3 bits
    session = Session(network)
    with pytest.raises(InputError, match=message):
        session.steps(values)
    [sample] = samples_for(network, 1)
    assert session.taken == 0
    assert (session.steps(sample)[-1].scores == Session(network).steps(sample)[-1].scores).all()
