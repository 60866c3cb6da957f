"""Verification finds what differs, says where, and holds only if nothing does."""

import dataclasses
import itertools
import json
import sys

import numpy as np
import pytest
from support.gated_networks import KINDS, lowered
from support.random_networks import checkpoint_of, samples_of

from export.description.inspection import verification_table
from export.lowering.network import lower, margins
from export.samples.readout import ReadoutError
from export.samples.recording import Recording
from export.software import simulation as software
from export.verification.backends import UnknownBackendError, runner, runners, torch_runner
from export.verification.comparison import VerificationError, first_difference, mismatches
from export.verification.contract import SAME_CLASS, holds, samples_at_once, verify, versions
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.levels import levels
from snn_ssm.model.reference import run_reference

CHECKPOINT = checkpoint_of(3, steps=30)
NETWORK = lower(CHECKPOINT)
SAMPLES = samples_of(CHECKPOINT, 7)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0])


def exact(samples, membranes):
    return software.run(NETWORK, samples, membranes=membranes)


def flipped(sample, layer, step, neuron):
    """A runner whose spikes are software's, but for one spike of one recognisable sample."""

    def run(samples, membranes):
        recording = exact(samples, membranes)
        for b, one in enumerate(samples):
            if np.array_equal(one, SAMPLES[sample]):
                recording.spikes[layer][b, step, neuron] ^= True
        return recording

    return run


def test_rates_are_of_the_samples_own_steps():
    lengths = np.array([30, 1, 7, 29, 12, 5, 30])
    result = verify(NETWORK, SAMPLES, LABELS, {"a": exact, "b": exact}, lengths=lengths)
    spikes, own = exact(SAMPLES, []).spikes, np.arange(30) < lengths[:, None]
    sums = {name: sum(int(s[b, : lengths[b]].sum()) for b in range(7))
            for name, s in spikes.items()}
    assert result["spikes"] == sum(sums.values()) < sum(int(s.sum()) for s in spikes.values())
    for name, found in result["layers"].items():
        assert found["spike_rate"] == sums[name] / (own.sum() * spikes[name].shape[2])
    whole = verify(NETWORK, SAMPLES, LABELS, {"a": exact, "b": flipped(2, "layer1", 20, 0)},
                   lengths=lengths)
    assert whole["backends"]["b"]["mismatched_spikes"] == 1  # also behind a sample's end


def test_equal_runs_hold_and_have_every_key_of_the_contract():
    result = verify(NETWORK, SAMPLES, LABELS, {"torch": exact, "software": exact, "nest": exact})
    assert holds(result)
    assert result["contract"] == {"E2": True, "E3": True}
    assert set(result) >= {
        "samples", "spikes", "backends", "contract", "spike_rate", "versions", "layers",
    }
    for found in result["backends"].values():
        assert set(found) == {
            "mismatched_spikes", "accuracy", "macro_f1", "seconds", "first_divergence",
        }
        assert found["mismatched_spikes"] == 0
        assert found["first_divergence"] is None
    assert json.loads(json.dumps(result)) == result


def test_counts_are_those_of_the_reference():
    recording = exact(SAMPLES, ["layer0", "layer1"])
    result = verify(NETWORK, SAMPLES, LABELS, {"software": exact})
    spikes = sum(int(s.sum()) for s in recording.spikes.values())
    slots = sum(s.size for s in recording.spikes.values())
    assert result["spikes"] == spikes
    assert result["spike_rate"] == spikes / slots
    for name, trace in recording.membranes.items():
        theta = NETWORK.population(name).cell.theta
        assert result["layers"][name]["smallest_margin"] == np.abs(trace - theta).min()
        assert result["layers"][name]["mismatched_spikes"] == {"software": 0}


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_one_flipped_spike_is_found_described_and_fails_the_row(monkeypatch, chunk):
    monkeypatch.setattr("export.verification.contract._CHUNK", chunk)
    nest = flipped(4, "layer1", 17, 2)
    result = verify(NETWORK, SAMPLES, LABELS, {"torch": exact, "software": exact, "nest": nest})
    assert not holds(result)
    assert result["contract"] == {"E2": True, "E3": False}
    assert result["backends"]["nest"]["mismatched_spikes"] == 1
    first = result["backends"]["nest"]["first_divergence"]
    trace = exact(SAMPLES, ["layer1"])
    membrane = trace.membranes["layer1"][4, 17, 2]
    theta = NETWORK.population("layer1").cell.theta[2]
    assert first == {
        "sample": 4, "layer": "layer1", "neuron": 2, "step": 17,
        "spike": bool(trace.spikes["layer1"][4, 17, 2]),
        "reference": membrane, "value": membrane, "margin": abs(membrane - theta),
        "cause": None,
    }


@pytest.mark.parametrize("chunk", [1, 3])
def test_the_result_does_not_depend_on_the_chunk(monkeypatch, chunk):
    """Nor does what comes first, which later differences leave alone; seconds add up."""
    one, other = flipped(1, "layer1", 17, 2), flipped(5, "layer0", 3, 1)

    def nest(samples, membranes):
        flip = one if any(np.array_equal(s, SAMPLES[1]) for s in samples) else other
        return flip(samples, membranes)

    compared = {"torch": exact, "software": exact, "nest": nest}
    results = []
    for size in (len(SAMPLES), chunk):
        monkeypatch.setattr("export.verification.contract._CHUNK", size)
        monkeypatch.setattr("time.perf_counter", itertools.count().__next__)
        results.append(verify(NETWORK, SAMPLES, LABELS, compared, convolution=other))
        monkeypatch.undo()
        for found in results[-1]["backends"].values():
            assert found.pop("seconds") == -(-len(SAMPLES) // size)
    whole, parts = results
    assert whole["backends"]["nest"].pop("mismatched_spikes") == 1  # of all samples in one call
    assert parts["backends"]["nest"].pop("mismatched_spikes") == 2
    for result, first in ((whole, 0), (parts, 1)):
        differing = {"layer0": first, "layer1": 1}
        for name, layer in result["layers"].items():
            expected = {"torch": 0, "software": 0, "nest": differing[name]}
            assert layer.pop("mismatched_spikes") == expected
    assert parts == whole and parts["contract"] == {"E2": True, "E3": False, "E5": True}
    assert parts["backends"]["nest"]["first_divergence"]["sample"] == 1


def test_memory_is_bounded_by_the_samples_of_a_chunk(monkeypatch):
    assert samples_at_once(NETWORK) == 50
    values = NETWORK.steps * sum(p.size for p in NETWORK.layers)
    for limit, samples in ((3 * values, 3), (values - 1, 1)):
        monkeypatch.setattr("export.verification.contract._VALUES", limit)
        assert samples_at_once(NETWORK) == samples


def test_a_row_fails_by_its_own_pair_even_if_both_differ_from_the_reference_alike():
    wrong = flipped(0, "layer0", 1, 1)
    result = verify(NETWORK, SAMPLES, LABELS, {"torch": exact, "software": wrong, "nest": wrong})
    assert result["contract"] == {"E2": False, "E3": True}
    assert not holds(result)


def test_the_first_difference_is_the_earliest_step_not_the_first_layer():
    a = exact(SAMPLES, [])
    b = dataclasses.replace(a, spikes={k: s.copy() for k, s in a.spikes.items()})
    assert first_difference(a, b) is None
    b.spikes["layer0"][2, 9, 0] ^= True
    b.spikes["layer1"][2, 5, 3] ^= True
    b.spikes["layer0"][3, 0, 0] ^= True
    assert first_difference(a, b) == (2, 5, "layer1", 3)
    assert mismatches(a, b) == 3


def test_the_float32_row_counts_classes_and_spikes(monkeypatch):
    def other_class(samples, membranes):
        recording = flipped(2, "layer1", 3, 0)(samples, membranes)
        return dataclasses.replace(recording, logits=np.eye(3)[samples[:, 0, 0] % 3])

    result = verify(NETWORK, SAMPLES, LABELS, {"software": exact}, convolution=other_class)
    same = np.mean(np.array(result["predictions"]) == SAMPLES[:, 0, 0] % 3)
    assert 0 < same < 1
    assert result["E5"] == {"mismatched_spikes": 1, "same_class": same}
    assert SAME_CLASS == 0.999 and not result["contract"]["E5"]
    monkeypatch.setattr("export.verification.contract.SAME_CLASS", same)
    result = verify(NETWORK, SAMPLES, LABELS, {"software": exact}, convolution=other_class)
    assert result["contract"]["E5"]


@pytest.mark.parametrize(("mismatched", "contract", "expected"), [
    ({"software": 0, "nest": 0}, {"E3": True}, True),
    ({"software": 0, "nest": 0}, {"E3": True, "E5": False}, False),
    ({"torch": 0, "nest": 1}, {}, False),  # a pair that is no row
    ({"software": 0, "spinnaker-software": 9}, {}, True),  # another arithmetic
    ({"spinnaker-software": 0, "software": 9}, {}, True),
    ({"spinnaker-software": 0, "spinnaker": 1}, {}, False),
    ({"software": 0, "recording": 1}, {}, False),  # of whichever arithmetic
    ({"spinnaker-software": 0, "recording": 1}, {}, False),
])
def test_what_must_agree_for_a_verification_to_hold(mismatched, contract, expected):
    backends = {name: {"mismatched_spikes": count} for name, count in mismatched.items()}
    result = {"reference": next(iter(backends)), "backends": backends, "contract": contract}
    assert holds(result) == expected


def test_refusals():
    with pytest.raises(VerificationError, match="7 samples and 2 labels"):
        verify(NETWORK, SAMPLES, LABELS[:2], {"software": exact})
    with pytest.raises(VerificationError, match="0 samples"):
        verify(NETWORK, SAMPLES[:0], LABELS[:0], {"software": exact})
    with pytest.raises(VerificationError, match="no backend"):
        verify(NETWORK, SAMPLES, LABELS, {})
    a = exact(SAMPLES, [])
    with pytest.raises(VerificationError, match="layer0.*same samples"):
        mismatches(a, exact(SAMPLES[:2], []))
    with pytest.raises(VerificationError, match="same network"):
        mismatches(a, Recording("nest", 1.0, {"layer0": a.spikes["layer0"]}))


def test_torch_and_software_from_disk_agree(tmp_path):
    save_checkpoint(tmp_path, CHECKPOINT)
    compared, convolution = runners(["torch", "software"], NETWORK, tmp_path)
    result = verify(NETWORK, SAMPLES, LABELS, compared, convolution=convolution)
    assert result["contract"] == {"E2": True, "E5": True}
    assert list(result["backends"]) == ["torch", "software"]


def test_backends_are_refused_by_name():
    with pytest.raises(UnknownBackendError, match=r"'brian'.*software, nest"):
        runner("brian", NETWORK)
    with pytest.raises(UnknownBackendError, match="stands twice"):
        runners(["software", "software"], NETWORK, None)
    with pytest.raises(UnknownBackendError, match="torch needs --checkpoint"):
        runners(["torch"], NETWORK, None)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_of_stock_cells_is_the_trained_one(seed, tmp_path):
    stock = checkpoint_of(seed, steps=40, cells="stock", mode_init="s4d-real", modes=1)
    network = lower(stock)
    assert network.cells == "stock"
    save_checkpoint(tmp_path, stock)
    compared, _ = runners(["torch", "software"], network, tmp_path)
    result = verify(network, samples_of(stock, 5), LABELS[:5], compared)
    assert result["contract"] == {"E2": True}
    assert 0.05 < result["spike_rate"] < 0.95


# --- gated, ternary, leaky and token networks -------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_every_kind_from_disk(kind, tmp_path):
    checkpoint, network, samples = lowered(kind, 3, steps=30, count=7)
    save_checkpoint(tmp_path, checkpoint)
    compared, convolution = runners(["torch", "software"], network, tmp_path)
    result = verify(network, samples, LABELS, compared, convolution=convolution)
    assert result["contract"] == {"E2": True, "E5": True}
    assert holds(result)
    assert 0.03 < result["spike_rate"] < 0.95
    logits = run_reference(checkpoint, samples).logits
    assert result["predictions"] == logits.argmax(axis=1).tolist()
    for found in result["backends"].values():
        assert found["accuracy"] == np.mean(logits.argmax(axis=1) == LABELS)
    names = [p.name for p in network.layers]
    assert list(result["layers"]) == names
    assert all(layer["smallest_margin"] > 0 for layer in result["layers"].values())


def test_a_negative_spike_is_located_in_its_own_population(tmp_path):
    checkpoint, network, samples = lowered("gsu", 3, count=7)
    save_checkpoint(tmp_path, checkpoint)
    where = (2, 5, 1)

    def wrong(part, membranes):
        recording = software.run(network, part, membranes=membranes)
        for b, one in enumerate(part):
            if np.array_equal(one, samples[where[0]]):
                recording.spikes["layer1_negative"][b, where[1], where[2]] ^= True
        return recording

    compared = {"torch": torch_runner(tmp_path, network), "software": wrong}
    result = verify(network, samples, LABELS, compared)
    assert result["contract"] == {"E2": False} and not holds(result)
    first = result["backends"]["software"]["first_divergence"]
    assert (first["sample"], first["layer"], first["step"], first["neuron"]) == (
        2, "layer1_negative", 5, 1,
    )
    y = -run_reference(checkpoint, samples).membranes[1][where]
    theta = network.population("layer1_negative").cell.theta[1]
    assert first["reference"] == y and first["margin"] == abs(y - theta)
    assert first["value"] == pytest.approx(y, rel=1e-10)


def test_torch_has_the_membranes_of_what_spikes(tmp_path):
    checkpoint, network, samples = lowered("gsu")
    save_checkpoint(tmp_path, checkpoint)
    names = [p.name for p in network.populations]
    found = torch_runner(tmp_path, network)(samples, names)
    assert list(found.membranes) == [p.name for p in network.layers] == list(found.spikes)
    assert (found.membranes["layer0_negative"] == -found.membranes["layer0"]).all()
    assert found.logits.shape == (3, 3)


def test_a_backend_without_the_readout_cannot_classify_a_gated_network():
    """Nothing else gives a gated network's classes: it is refused, and not guessed from spikes."""
    _, network, samples = lowered("glu", count=7)

    def silent(part, membranes):
        return software.run(network, part)

    with pytest.raises(ReadoutError, match="software recorded no membrane of 'readout'"):
        verify(network, samples, LABELS, {"software": silent})


def test_torch_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "snn_ssm.model.reference", None)
    with pytest.raises(UnknownBackendError) as caught:
        runners(["torch"], NETWORK, tmp_path)
    assert str(caught.value).startswith("the backend torch cannot be imported (")
    assert "pip install 'snn-ssm[train]'" in str(caught.value)


def test_versions_are_of_what_is_installed(monkeypatch):
    assert {"python", "numpy", "torch", "numba"} <= set(versions())
    monkeypatch.setattr("export.verification.contract._PACKAGES", ("numpy", "no-such-package"))
    assert set(versions()) == {"python", "numpy"}


# --- ties -------------------------------------------------------------------------------------


def beside(distance):
    """A network whose neuron 2 of layer1 has its level so far above one of its membranes.

    Returns the network, the margins, and the sample and step of that membrane.
    """
    trace = exact(SAMPLES, ["layer1"]).membranes["layer1"][..., 2]
    sample, step = (int(v) for v in np.argwhere(trace > 0.1)[0])
    layer = NETWORK.population("layer1")
    theta, margin = layer.cell.theta.copy(), np.full(layer.size, 1e-9)
    theta[2] = trace[sample, step] + distance
    cell = dataclasses.replace(layer.cell, theta=theta)
    populations = tuple(
        dataclasses.replace(p, cell=cell) if p.name == "layer1" else p for p in NETWORK.populations
    )
    return dataclasses.replace(NETWORK, populations=populations), {"layer1": margin}, sample, step


@pytest.mark.parametrize(("distance", "tie"), [
    (-1e-12, False), (0.0, True), (1e-9, True), (1.9999e-9, True), (2.0001e-9, False),
])
def test_a_tie_is_within_the_margin_of_its_trained_threshold_and_never_passes(distance, tie):
    """The trained threshold is a margin below the network's; a mismatch fails on either side."""
    network, margins, sample, step = beside(distance)

    def software_run(samples, membranes):
        return software.run(network, samples, membranes=membranes)

    def wrong(samples, membranes):
        recording = software_run(samples, membranes)
        recording.spikes["layer1"][sample, step, 2] ^= True
        return recording

    compared = {"torch": wrong, "software": software_run, "nest": software_run}
    result = verify(network, SAMPLES, LABELS, compared, margins=margins)
    assert result["ties"] == {
        "membranes": int(tie),
        "mismatched_spikes": {"torch": 0, "software": int(tie), "nest": int(tie)},
    }
    assert result["layers"]["layer1"]["ties"] == int(tie)
    assert result["backends"]["software"]["mismatched_spikes"] == 1
    assert result["contract"] == {"E2": False, "E3": True} and not holds(result)
    text = verification_table(result)
    assert (f"ties: {int(tie)} membranes are at their threshold but for rounding" in text)
    assert ("mismatched spikes among them: 1 of software, 1 of nest" in text) == tie


def test_ties_are_not_told_where_nobody_knows_them():
    result = verify(NETWORK, SAMPLES, LABELS, {"nest": exact}, margins={"layer1": np.ones(6)})
    assert result["ties"] is None
    result = verify(NETWORK, SAMPLES, LABELS, {"software": exact})
    assert result["ties"] is None and "ties:" not in verification_table(result)
    assert result["layers"]["layer1"]["ties"] is None


def test_margins_are_the_checkpoints(tmp_path):
    """A constant channel is at its threshold at every step, and is told so."""
    stock = checkpoint_of(3, steps=30, cells="stock", mode_init="s4d-real", modes=1)
    for checkpoint in (CHECKPOINT, stock):
        found = margins(checkpoint)
        for name, level in zip(found, levels(checkpoint), strict=True):
            scale = 1.0
            if checkpoint is stock:
                i = name.removeprefix("layer")
                arrays = checkpoint.arrays
                scale = np.abs(arrays[f"blocks.{i}.norm.weight"].astype(float)) / np.sqrt(
                    arrays[f"blocks.{i}.norm.running_var"].astype(float) + 1e-5
                )
            assert found[name] == pytest.approx(level.margin / scale, rel=1e-14)
