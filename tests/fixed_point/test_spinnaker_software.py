"""The backend spinnaker-software: against one neuron and one tick at a time, delays and all."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.cell_parts import with_parts
from support.gated_networks import samples_for
from support.looped_networks import looped_gated_network, looped_network_of
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of
from support.spinnaker_reference import Slots, StockNeuron, fixed, native_neuron

from export.command.arguments import main
from export.description.network import NetworkError
from export.fixed_point import simulation as spinnaker
from export.fixed_point.stepping import Sent, step
from export.fixed_point.stock import HOLD
from export.lowering.network import lower
from export.samples.inputs import InputError, encode
from export.samples.readout import accumulated_logits, logits
from export.samples.recording import Recording
from export.software import simulation as software
from export.verification.backends import UnknownBackendError, runners
from export.verification.contract import holds, verify
from pynn_models.spinnaker import StockCell
from snn_ssm.checkpoint import save_checkpoint

STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}


class Native:
    """A native neuron on its own clock."""

    def __init__(self, plan, h, first, timestep):
        self.neuron = native_neuron(plan.parameters, h)
        self.first, self.shifts = first, plan.shifts

    def tick(self, t, buffers):
        u = (buffers[0] << self.shifts[0]) - (buffers[1] << self.shifts[1])
        return self.neuron.tick(u, t, self.first)


class Stock:
    """A stock neuron, held below its threshold until its first step."""

    def __init__(self, plan, h, first, timestep):
        fields = [f.name for f in dataclasses.fields(StockCell)]
        values = {name: float(getattr(plan.cell, name)[h]) for name in fields}
        self.neuron, self.first = StockNeuron(values, timestep, plan.shifts), first

    def tick(self, t, buffers):
        return self.neuron.tick(buffers, fixed(HOLD) if t < self.first else 0)


def board(network, plan, sample):
    """Spikes and membranes of one sample (C, L), tick by tick: every projection with its delay."""
    kind = Stock if network.cells == "stock" else Native
    made = {p.name: p for p in network.populations if p.name in plan.populations}
    ticks = network.steps + max(p.latency for p in made.values())
    cells, slots, results = {}, {}, {}
    for name, p in made.items():
        found = plan.populations[name]
        cells[name] = [kind(found, h, p.latency, network.timestep) for h in range(p.size)]
        slots[name] = (Slots(p.size, ticks), Slots(p.size, ticks))
        results[name] = np.zeros((2, ticks, p.size), np.int64)
    outgoing = {name: [] for name in (network.source.name, *made)}
    for projection in network.projections:
        if projection.target in made:
            stored = plan.populations[projection.target].stored(projection)
            outgoing[projection.source].append((projection, [m.tolist() for m in stored]))

    def send(name, source, t):
        for projection, stored in outgoing[name]:
            for buffer, matrix in zip(slots[projection.target], stored, strict=True):
                each = np.broadcast_to(projection.delay, projection.weights.shape)[source]
                for j, weight in enumerate(matrix[source]):
                    if weight:
                        single = [0] * j + [weight] + [0] * (len(matrix[source]) - j - 1)
                        buffer.add(t + int(each[j]), single)

    bits = network.source.bits
    for t in range(ticks):
        if t < network.steps:
            for c, value in enumerate(sample[:, t].tolist()):
                for j in range(bits):
                    if value >> j & 1:
                        send(network.source.name, c * bits + j, t)
        for name, neurons in cells.items():
            rows = [buffer.rows[t] for buffer in slots[name]]
            for h, cell in enumerate(neurons):
                fired, y = cell.tick(t, [row[h] for row in rows])
                results[name][:, t, h] = fired, y
                if fired:
                    send(name, h, t)
    spikes, membranes = {}, {}
    for name, p in made.items():
        assert not results[name][0, : p.latency].any()
        spikes[name], membranes[name] = results[name][:, p.latency : p.latency + network.steps]
    return spikes, membranes


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_native_networks_equal_the_scalar_board(seed, layers):
    """Mixed cells, skip projections, delays of 1 to 9 ticks: spikes, membranes, accumulators."""
    assert_the_scalar_boards(network_of(seed, layers=layers, tied=False))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_graphs_of_any_kind_equal_the_scalar_board(seed):
    """Loops, single synapses, a delay each, taps."""
    network = looped_network_of(seed, layers=2)
    assume(network.layers)
    assert_the_scalar_boards(network)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_neurons_on_which_spikes_act_back_equal_the_scalar_board(seed, loops):
    """Resets of both kinds, refractory steps and histories, together too, also within loops."""
    network = looped_network_of(seed, layers=2) if loops else network_of(seed, tied=False)
    network = with_parts(network, seed)
    network = dataclasses.replace(network, populations=tuple(
        dataclasses.replace(p, cell=dataclasses.replace(p.cell, multiplicity=None))
        for p in network.populations
    ))
    assume(network.layers)
    assert_the_scalar_boards(network)


def assert_the_scalar_boards(network):
    samples = network_samples(network, 2)
    plan = spinnaker.plan_network(network)
    names = [p.name for p in network.populations]
    found = spinnaker.run(network, samples, membranes=names)
    assert set(found.spikes) == set(names[:-1]) and set(found.membranes) == set(names)
    for b, sample in enumerate(samples):
        spikes, membranes = board(network, plan, sample)
        for name in names:
            exponent = plan.populations[name].parameters.membrane_exponent
            integers = np.ldexp(found.membranes[name][b], 15 + exponent)
            assert (integers == membranes[name]).all()
            if name != "readout":
                assert (found.spikes[name][b] == spikes[name].astype(bool)).all()


@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(1, 3), st.sampled_from([1.0, 2.0]), st.booleans())
def test_stock_networks_equal_the_scalar_board(seed, delay, timestep, calibrated):
    """Held until their first step, also where a state of 0 is above the threshold."""
    checkpoint = checkpoint_of(seed, 16, channels=4, dt_min=0.02, dt_max=0.8, **STOCK)
    network = lower(checkpoint, delay=delay, timestep=timestep)
    samples = samples_of(checkpoint, 2)
    plan = spinnaker.make_plan(network, samples if calibrated else None)
    found = spinnaker.run(network, samples, plan=plan, allow_overflow=calibrated)
    for b, sample in enumerate(samples):
        spikes, _ = board(network, plan, sample)
        assert set(spikes) == set(found.spikes)
        for name, expected in spikes.items():
            assert (found.spikes[name][b] == expected.astype(bool)).all()


@pytest.mark.parametrize("stock", [False, True])
def test_saturation_equals_the_scalar_board(stock):
    """A plan for silence and loud samples: the ring buffers saturate, here as there."""
    changes = STOCK if stock else {}
    checkpoint = checkpoint_of(1, 12, channels=8, input_bits=8, **changes)
    network, samples = lower(checkpoint), samples_of(checkpoint, 1)
    plan = spinnaker.calibrate(network, samples * 0)
    loud = samples * 0 + 255
    with pytest.warns(spinnaker.SaturationWarning):
        found = spinnaker.run(network, loud, plan=plan, allow_overflow=True)
    spikes, _ = board(network, plan, loud[0])
    for name, recorded in found.spikes.items():
        assert (recorded[0] == spikes[name].astype(bool)).all()


@pytest.mark.parametrize("stock", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_it_spikes_as_float64_but_for_rounding(seed, stock):
    """Each layer's errors feed the next; a layer of 32 channels differs in 1 % of its steps."""
    changes = STOCK if stock else {}
    checkpoint = checkpoint_of(seed, 100, channels=32, **changes)
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    exact, found = software.run(network, samples), spinnaker.run(network, samples)
    for name, spikes in exact.spikes.items():
        assert spikes.any() and (spikes != found.spikes[name]).mean() < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_the_accumulators_hold_the_logits_of_the_spikes(seed):
    checkpoint = checkpoint_of(seed, 50, pooling=("mean", "last")[seed % 2])
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    found = spinnaker.run(network, samples, membranes=["readout"])
    host = logits(network, samples, found)
    assert np.abs(accumulated_logits(network, found) - host).max() < 1e-3 * np.abs(host).max()


def test_batches_and_order_make_no_difference():
    network = network_of(4)
    samples = network_samples(network, 60)
    whole = spinnaker.run(network, samples)
    for b in (0, 24, 25, 59):
        one = spinnaker.run(network, samples[b : b + 1])
        for name, spikes in whole.spikes.items():
            assert (spikes[b] == one.spikes[name][0]).all()


def test_what_can_be_asked_for():
    network = network_of(4)
    samples = network_samples(network)
    with pytest.raises(NetworkError, match="no population 'nobody'"):
        spinnaker.run(network, samples, membranes=["nobody"])
    with pytest.raises(InputError, match="expects integers"):
        spinnaker.run(network, samples * 0 - 1)
    checkpoint = checkpoint_of(1, 12, **STOCK)
    found = spinnaker.run(lower(checkpoint), samples_of(checkpoint), membranes=["layer0"])
    assert found.membranes == {} and found.backend == "spinnaker-software"


def test_a_population_without_projections_runs_on_its_bias():
    network = network_of(4)
    lonely = dataclasses.replace(
        network, projections=tuple(p for p in network.projections if p.target != "layer1")
    )
    samples = network_samples(lonely, 1)
    found = spinnaker.run(lonely, samples, membranes=["layer1"])
    exact = software.run(lonely, samples, membranes=["layer1"])
    assert found.membranes["layer1"] == pytest.approx(exact.membranes["layer1"], abs=1e-4)


# --- among the backends -------------------------------------------------------------------------


def test_differences_of_arithmetic_are_reported_and_do_not_fail():
    checkpoint = checkpoint_of(3, 200, channels=48, depth=4)
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    labels = np.zeros(4, np.int64)
    names = ["software", "spinnaker-software"]
    compared, _ = runners(names, network, None)
    result = verify(network, samples, labels, compared)
    assert result["backends"]["spinnaker-software"]["mismatched_spikes"] > 0
    assert result["contract"] == {} and holds(result)

    def changed(samples, membranes):
        found = compared["spinnaker-software"](samples, [])
        found.spikes["layer0"][0, 0, 0] ^= True
        return Recording("spinnaker", found.timestep, found.spikes)

    assert not holds(verify(network, samples, labels, {"software": compared["software"],
                                                       "nest": changed}))  # fmt: skip
    pair = {"spinnaker-software": compared["spinnaker-software"], "spinnaker": changed}
    result = verify(network, samples, labels, pair)
    assert result["contract"] == {"E4": False} and not holds(result)
    result = verify(network, samples, labels, {"software": compared["software"], **pair})
    assert result["contract"] == {"E4": False} and not holds(result)
    pair["spinnaker"] = compared["spinnaker-software"]
    result = verify(network, samples, labels, {"software": compared["software"], **pair})
    assert result["contract"] == {"E4": True} and holds(result)


@pytest.fixture
def files(tmp_path):
    checkpoint = checkpoint_of(5, 20)
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint)
    inputs = samples_of(checkpoint, 6)
    np.savez(tmp_path / "samples.npz", inputs=inputs, labels=[0, 1, 2, 0, 1, 2])
    for encoding in ("bits", "current"):
        out = str(tmp_path / encoding)
        assert main(["export", str(tmp_path / "checkpoint"), out, "--input", encoding]) == 0
    return tmp_path


def command(*words):
    return main([str(word) for word in words])


def test_the_command_line(files, capsys):
    network, data = files / "bits", files / "samples.npz"
    arguments = ("run", network, "--backend", "spinnaker-software", "--data", data)
    assert command(*arguments) == 0
    assert "from the population 'readout'" in capsys.readouterr().out
    backends = ("--backends", "software,spinnaker-software")
    assert command("verify", network, *backends, "--data", data) == 0
    assert "spinnaker-software" in capsys.readouterr().out
    assert command("inspect", network, "--spinnaker") == 0
    assert "for all inputs" in capsys.readouterr().out
    calibration = ("--calibration", data, "--samples", 4)
    assert command("inspect", network, "--spinnaker", *calibration) == 0
    assert "for the calibration samples" in capsys.readouterr().out


def test_the_command_line_refuses(files, capsys):
    data = files / "samples.npz"
    run = ("run", files / "bits", "--data", data)
    assert command(*run[:1], files / "current", *run[2:], "--backend", "spinnaker-software") == 2
    assert "--input bits" in capsys.readouterr().err
    assert command(*run, "--calibration", data) == 2
    assert "spinnaker-software" in capsys.readouterr().err
    assert command("inspect", files / "bits", "--calibration", data) == 2
    assert "--spinnaker" in capsys.readouterr().err
    inspect = ("inspect", files / "bits", "--spinnaker", "--calibration", data)
    assert command(*inspect, "--samples", 0) == 2
    assert "at least 1" in capsys.readouterr().err
    assert command(*inspect, "--samples", 7) == 2
    assert "7" in capsys.readouterr().err


def test_an_unknown_backend_is_told_this_one():
    with pytest.raises(UnknownBackendError, match="spinnaker-software"):
        runners(["spinaker"], network_of(1), None)


# --- loops and lags ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_loops_of_leaky_cells_agree_with_themselves(seed):
    """Every population, run by itself over what the others are found to send, spikes as found."""
    network = looped_network_of(seed, cells="lif", late=3)
    samples = network_samples(network)
    plan = spinnaker.plan_network(network)
    found = spinnaker.run(network, samples, plan=plan).spikes
    sent = {network.source.name: np.asarray(encode(network, samples), np.uint8)}
    sent |= {name: spikes.view(np.uint8) for name, spikes in found.items()}
    for population in network.layers:
        alone, _ = step(network, population, plan.populations[population.name], Sent(sent), False)
        assert (alone.spikes == found[population.name]).all()
    assert any(spikes.any() for spikes in found.values())


@pytest.mark.parametrize("acting", [
    {"reset": "soft", "refractory": 1, "history": 2}, {"reset": "hard"}, {"reset": "soma"},
], ids=str)
def test_recurrent_neurons_that_their_own_spikes_reset(acting):
    checkpoint = checkpoint_of(recurrent=True, recurrent_delays=2, channels=12, **acting)
    network, samples = lower(checkpoint), samples_of(checkpoint)
    found, exact = spinnaker.run(network, samples), software.run(network, samples)
    spikes = sum(int(s.sum()) for s in exact.spikes.values())
    differ = sum(int((s != found.spikes[k]).sum()) for k, s in exact.spikes.items())
    assert spikes > 400 and differ < spikes / 100


def test_calibration_of_a_network_with_lags_is_refused():
    network = looped_network_of(3)
    with pytest.raises(spinnaker.SpinnakerLoopError, match="calibration counts what arrives in a "):
        spinnaker.calibrate(network, network_samples(network))


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("seed", range(4))
def test_a_gated_population_in_a_loop_does_what_it_does_alone(kind, seed):
    """Each again, from what all others did over the whole sequence: a loop has one such solution,
    since what comes back is late."""
    network = looped_gated_network(seed, kind)
    samples = samples_for(network, 3, seed)
    plan = spinnaker.plan_network(network)
    names = [p.name for p in network.populations]
    found = spinnaker.run(network, samples, plan=plan, membranes=names)
    sent = Sent({network.source.name: np.asarray(encode(network, samples), np.uint8)})
    sent.spikes |= {name: spikes.view(np.uint8) for name, spikes in found.spikes.items()}
    for population in network.populations:  # what is graded comes from those before
        own = plan.populations[population.name]
        done, _ = step(network, population, own, sent, True)
        assert (done.membrane == found.membranes[population.name]).all()
        if population.spikes:
            assert (done.spikes == found.spikes[population.name]).all()
        if done.sent is not None:
            sent.membranes[population.name] = done.sent
    exact = software.run(network, samples)
    spikes = sum(int(s.sum()) for s in exact.spikes.values())
    differ = sum(int((s != found.spikes[k]).sum()) for k, s in exact.spikes.items())
    assert spikes > 30 and differ <= spikes / 20
