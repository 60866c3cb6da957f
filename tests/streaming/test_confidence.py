"""How sure answers are: temperatures, sets with a guarantee, rules in a stream, the file."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from support.gated_networks import lowered, samples_for
from support.random_networks import network_of

from export.samples.readout import logits
from export.software.simulation import run
from export.streaming import (
    Confidence,
    ConfidenceError,
    Session,
    calibrate,
    exits,
    load_confidence,
    rule_of,
    running_scores,
    save_confidence,
)
from export.streaming.calibration import fit, question_steps, set_steps
from export.streaming.confidence import CONFIDENCE_FILE, _seal, log_softmax
from export.streaming.exits import counts, describe_rules, measured

STEPS = (5, 10, 15, 20)
TEMPERATURES = np.array([9.0, 3.0, 1.0, 0.5])


def problem(count, seed):
    """Scores (B, 4, 3) whose labels are drawn from softmax(scores / T), T for each step its own.

    The labels are of the last step: what is known of them earlier is what T says, since the
    scores of every step are the last ones in its units.
    """
    rng = np.random.default_rng(seed)
    last = rng.normal(size=(count, 3)) * 2
    chances = np.exp(log_softmax(last, TEMPERATURES[-1]))
    labels = (rng.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return last[:, None] * (TEMPERATURES / TEMPERATURES[-1])[:, None], labels


def fitted(count=4000, seed=0):
    network = replace(network_of(0), steps=20, origin={"model_sha256": "m"})
    scores, labels = problem(count, seed)
    return network, fit(network, STEPS, scores, labels, "made")


def test_temperatures_are_those_that_labels_were_drawn_with():
    _, found = fitted()
    assert np.allclose(found.temperatures, TEMPERATURES, rtol=0.1)
    assert (found.steps, found.samples, found.data) == (STEPS, 4000, "made")


def test_a_temperature_does_not_depend_on_the_units_of_the_scores():
    network, found = fitted(500)
    scores, labels = problem(500, 0)
    scaled = fit(network, STEPS, scores * 1e-6, labels)
    assert np.allclose(np.array(scaled.temperatures) * 1e6, found.temperatures, rtol=1e-3)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
def test_sets_hold_the_label_as_often_as_promised(coverage):
    """Over many draws of both the samples to calibrate with and the one to answer."""
    held = []
    for seed in range(60):
        _, found = fitted(400, seed)
        scores, labels = problem(400, 1000 + seed)
        rule = rule_of(found, coverage=coverage)
        places = [STEPS.index(k) for k in rule.steps]
        stopped = exits(rule, scores[:, places])
        held.append(rule.sets(stopped.steps, stopped.scores)[np.arange(400), labels].mean())
    assert np.mean(held) >= coverage - 2 * np.std(held) / np.sqrt(60)
    assert np.mean(held) < 1 or coverage >= 0.99  # and not by holding every class


def test_quantiles_are_of_other_samples_than_those_that_temperatures_are_fitted_to():
    """A sample's label moves the temperatures or is one of those ranked, never both."""
    network, found = fitted(60)
    scores, labels = problem(60, 0)
    moved = np.zeros(60, np.bool_)
    for b in range(60):
        other = labels.copy()
        other[b] = (labels[b] + 1) % 3
        moved[b] = fit(network, STEPS, scores, other).temperatures != found.temperatures
    assert moved.sum() == 30
    rest, step = np.flatnonzero(~moved), found.set_steps[0]
    surprises = np.sort([
        -log_softmax(scores[b, STEPS.index(step)], found.temperature(step))[labels[b]]
        for b in rest
    ])
    level = 1 - (1 - 0.9) / len(found.set_steps)
    assert found.quantiles["0.9"][0] == surprises[int(np.ceil(31 * level)) - 1]


def test_too_few_samples_promise_nothing_by_holding_every_class():
    _, found = fitted(20)
    rule = rule_of(found, coverage=0.999)
    assert set(found.quantiles["0.999"]) == {None}
    assert rule.classes(20, np.array([[5.0, 0.0, -5.0]])).all()


def test_a_threshold_stops_where_it_is_passed():
    _, found = fitted()
    rule = rule_of(found, threshold=0.9)
    scores, _ = problem(200, 5)
    stopped = exits(rule, scores)
    for b in range(200):
        sure = [
            np.exp(log_softmax(scores[b, i], found.temperatures[i])).max() for i in range(4)
        ]
        first = next((i for i in range(4) if sure[i] > 0.9), 3)
        assert (stopped.place[b], stopped.steps[b]) == (first, STEPS[first])
        assert (stopped.scores[b] == scores[b, first]).all()
    assert len(set(stopped.place)) > 1
    assert (stopped.labels == stopped.scores.argmax(axis=1)).all()


def test_the_steps_of_questions_end_with_the_sample():
    assert question_steps(784) == tuple(range(8, 785, 8))
    assert question_steps(3) == (1, 2, 3)
    for steps in (1, 5, 97, 99, 1000, 4096):
        asked = question_steps(steps)
        assert asked[-1] == steps and asked[0] >= 1 and len(asked) <= 98
        chosen = set_steps(asked)
        assert set(chosen) <= set(asked) and chosen[-1] == steps and list(chosen) == sorted(chosen)
        assert 1 <= len(chosen) <= 8


@pytest.mark.parametrize("kind", ["token", "glu", "gsu", "lif"])
def test_running_scores_of_membranes_and_of_spikes(kind):
    _, network, samples = lowered(kind)
    recording = run(network, samples, membranes=["readout"])
    asked = (1, 7, network.steps)
    found = running_scores(network, samples, recording, asked)
    assert found.shape == (len(samples), 3, 3)
    assert np.allclose(found[:, -1], logits(network, samples, recording), rtol=1e-12)
    if network.linear_readout:
        of_spikes = running_scores(network, samples, replace(recording, membranes={}), asked)
        assert np.allclose(of_spikes, found, rtol=1e-12, atol=1e-12)
    spikes = counts(network, recording, asked)
    assert (spikes[:, 1] == sum(s[:, :7].sum((1, 2)) for s in recording.spikes.values())).all()


def calibrated(network, count=100):
    samples = samples_for(network, count, seed=1)
    whole = run(network, samples, membranes=["readout"])
    labels = logits(network, samples, whole).argmax(axis=1)  # what the whole sample says
    return calibrate(
        network, samples, labels, lambda part, names: run(network, part, membranes=names)
    )


def test_a_session_stops_where_the_rule_stops_a_whole_run():
    _, network, samples = lowered("glu", count=8)
    found = calibrated(network)
    for rule in (rule_of(found, threshold=0.8), rule_of(found, coverage=0.8)):
        recording = run(network, samples, membranes=["readout"])
        expected = exits(rule, running_scores(network, samples, recording, rule.steps))
        assert expected.steps.min() < network.steps
        session = Session(network, rule=rule)
        for b, sample in enumerate(samples):
            answers = session.steps(sample[:, :3]) + session.steps(sample[:, 3:])
            assert [a.step for a in answers] == list(range(1, network.steps + 1))
            first = next(a for a in answers if a.final)
            assert first.step == expected.steps[b]
            assert (first.scores == expected.scores[b]).all()
            assert {a.label for a in answers[first.step :]} <= {first.label}
            assert all(a.final for a in answers[first.step - 1 :])
        assert session.computed == expected.steps.sum() < 8 * network.steps


def test_an_answered_sample_is_saved_as_such(tmp_path):
    _, network, samples = lowered("glu", count=8)
    rule = rule_of(calibrated(network), threshold=0.5)
    session = Session(network, rule=rule)
    answers = session.steps(samples[0][:, :19])
    assert answers[-1].final
    session.save(tmp_path / "state")
    again = Session.load(network, tmp_path / "state", rule=rule)
    for one in (session, again):
        [answer] = one.steps(samples[0][:, 19:])
        assert answer.final and (answer.scores == answers[-1].scores).all()
        assert answer.confidence == answers[-1].confidence
    assert again.computed == 0


def test_the_file_keeps_every_number(tmp_path):
    network, found = fitted(200)
    save_confidence(found, tmp_path)
    assert load_confidence(tmp_path, network) == found


def test_a_file_that_is_missing_altered_or_of_another_model_is_refused(tmp_path):
    network, found = fitted(200)
    with pytest.raises(ConfidenceError, match="nothing is known about how sure its answers are"):
        load_confidence(tmp_path, network)
    save_confidence(found, tmp_path)
    with pytest.raises(ConfidenceError, match="for another model than that of this network"):
        load_confidence(tmp_path, replace(network, origin={}))
    table = json.loads((tmp_path / CONFIDENCE_FILE).read_text())
    for change in ({"samples": 201}, {"schema": 2}, {"more": 1}):
        (tmp_path / CONFIDENCE_FILE).write_text(json.dumps(table | change))
        with pytest.raises(ConfidenceError, match="was altered, or is of another version"):
            load_confidence(tmp_path, network)
    for text in ("[1]", "{", "null"):
        (tmp_path / CONFIDENCE_FILE).write_text(text)
        with pytest.raises(ConfidenceError, match="was altered, or is of another version"):
            load_confidence(tmp_path, network)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", ["a"]), ("steps", [5, 5, 15, 20]), ("steps", [5, 10, 15]), ("steps", []),
        ("temperatures", [1.0]), ("temperatures", [1.0, 1.0, 1.0, 0.0]), ("temperatures", None),
        ("temperatures", [1.0, 1.0, 1.0, True]), ("set_steps", [7, 20]), ("set_steps", []),
        ("quantiles", {"0.9": [1.0]}), ("quantiles", {"0.9": ["x", 1.0]}), ("quantiles", []),
        ("curve", [[1.0]]), ("curve", [1]),
    ],
)  # fmt: skip
def test_a_sealed_file_of_nonsense_is_refused(tmp_path, key, value):
    """Whoever makes a file can seal it."""
    network, found = fitted(200)
    table = {"schema": 1, **asdict(found), key: value}
    (tmp_path / CONFIDENCE_FILE).write_text(json.dumps({**table, "sha256": _seal(table)}))
    with pytest.raises(ConfidenceError, match="was altered, or is of another version"):
        load_confidence(tmp_path, network)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "expected one of the two"),
        ({"threshold": 0.9, "coverage": 0.9}, "expected one of the two"),
        ({"threshold": 1.0}, "the confidence is 1.0; expected a number between 0 and 1"),
        ({"threshold": float("nan")}, "expected a number between 0 and 1"),
        ({"coverage": 0.85}, "the coverage is 0.85; calibrated are 0.8, 0.9"),
    ],
)
def test_rules_that_mean_nothing_are_refused(asked, message):
    with pytest.raises(ConfidenceError, match=message):
        rule_of(fitted(200)[1], **asked)


def test_too_few_samples_are_refused():
    network = network_of(0)
    with pytest.raises(ConfidenceError, match="there are 19 samples to calibrate with"):
        calibrated(network, 19)


def test_the_table_says_what_each_rule_did():
    _, found = fitted()
    scores, labels = problem(500, 9)
    spikes = np.tile([10, 20, 30, 40], (500, 1))
    rows = measured(found, scores, spikes, labels)
    assert rows[0]["steps"] == rows[0]["spikes"] == 1.0
    assert rows[0]["accuracy"] == (scores[:, -1].argmax(1) == labels).mean()
    assert len(rows) == 1 + len(found.curve) + len(found.quantiles)
    for row in rows[1:]:
        assert abs(row["steps"] - row["spikes"]) < 1e-12 and 0.25 <= row["steps"] <= 1
    by_name = {row["rule"]: row for row in rows}
    assert by_name["confidence 0.5"]["steps"] < by_name["confidence 0.99"]["steps"]
    assert by_name["coverage 0.8"]["covered"] >= 0.75
    text = describe_rules(rows, 500)
    assert text.startswith("On 500 samples") and "coverage 0.99" in text


def test_a_confidence_is_of_its_own_steps():
    assert isinstance(fitted(100)[1], Confidence)
    assert fitted(100)[1].temperature(10) == fitted(100)[1].temperatures[1]
