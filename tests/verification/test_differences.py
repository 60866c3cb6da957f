"""verify of populations that send differences: what is counted, and a difference that is lost."""

import numpy as np
from support.random_networks import checkpoint_of, samples_of

from export.lowering import lower
from export.samples.inputs import encode
from export.samples.messages import sent
from export.samples.recording import concatenate
from export.software import advance, at_rest, run
from export.verification import verify

CHECKPOINT = checkpoint_of(2, steps=30, activation="integer", spike_levels=4)
NETWORK = lower(CHECKPOINT, messages="differences")
SAMPLES = samples_of(CHECKPOINT)
LABELS = np.zeros(len(SAMPLES), np.int64)
LOST = 12  # the step before which a difference was lost


def software(samples, membranes):
    return run(NETWORK, samples, membranes=membranes)


def losing(samples, membranes):
    """As a simulator would that loses a difference of 1 from neuron 0 to all of layer1."""
    whole = []
    lost = next(p for p in NETWORK.projections if (p.source, p.target) == ("layer0", "layer1"))
    for sample in samples:
        encoded, states = encode(NETWORK, sample[None]), at_rest(NETWORK, 1)
        parts = [advance(NETWORK, states, encoded[:, :LOST], membranes)]
        states.held["layer1", "input"] -= lost.weights[0]
        parts.append(advance(NETWORK, states, encoded[:, LOST:], membranes))
        whole.append(joined(parts))
    return concatenate(whole)


def joined(parts):
    first, second = parts
    for of in ("spikes", "membranes"):
        for name, values in getattr(first, of).items():
            getattr(first, of)[name] = np.concatenate(
                [values, getattr(second, of)[name]], axis=1
            )
    return first


def test_a_lost_difference_is_found_where_it_first_shows_and_is_never_made_up_for():
    backends = {"software": software, "nest": losing}
    result = verify(NETWORK, SAMPLES, LABELS, backends)
    assert result["contract"] == {"E3": False}
    first = result["backends"]["nest"]["first_divergence"]
    assert first["layer"] == "layer1" and first["step"] >= LOST
    ours, theirs = (f(SAMPLES, ["layer1"]).membranes["layer1"] for f in (software, losing))
    assert (ours[:, :LOST] == theirs[:, :LOST]).all()
    assert (ours[:, LOST:] != theirs[:, LOST:]).all()


def test_spikes_are_those_that_are_sent():
    result = verify(NETWORK, SAMPLES, LABELS, {"software": software, "nest": software})
    messages = sent(NETWORK, software(SAMPLES, []))
    total = sum(int(m.sum()) for m in messages.values())
    assert result["spikes"] == total < sum(
        int(s.sum()) for s in software(SAMPLES, []).spikes.values()
    )
    for name, found in result["layers"].items():
        assert found["spike_rate"] == messages[name].mean()
