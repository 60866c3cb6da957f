"""Event-based gated units in SpiNNaker's integers: networks step by step, plans, refusals."""

import dataclasses
import warnings

import numpy as np
import pytest
from support.egru_networks import RECEPTORS, egru_checkpoint, egru_network_of, unit
from support.gated_networks import samples_for
from support.random_networks import samples_of

from export.description.network import Projection
from export.fixed_point import simulation as integers
from export.fixed_point.native import SpinnakerNativeError
from export.fixed_point.reach import reach_for_all
from export.fixed_point.report import describe_plan, plan_rows
from export.job.preflight import preflight
from export.lowering.network import lower
from export.pynn.registry import board_backend
from export.samples.inputs import encode
from export.software import simulation as software
from pynn_models.spinnaker.egru import run_egru
from pynn_models.spinnaker.gated import gated_sums


def one_step_after_another(network, samples):
    """Spikes and what is sent of each layer, one sample and step at a time, from a plan's integers.

    Ring buffers, lags and loops are written out here, without the code that runs them.
    """
    plan = integers.plan_network(network)
    bits = encode(network, samples).astype(np.int64)
    found = {p.name: np.zeros((len(samples), network.steps, p.size), np.int64)
             for p in network.layers}
    fired = {name: np.zeros(v.shape, bool) for name, v in found.items()}
    for b in range(len(samples)):
        state = dict.fromkeys(found)
        for k in range(network.steps):
            for population in network.layers:
                own, name = plan.populations[population.name], population.name
                sums = []
                for receptor in RECEPTORS:
                    total = np.zeros(population.size, np.int64)
                    for q in network.incoming(name, receptor):
                        if q.graded:
                            continue
                        lag = q.shortest_delay - network.lead(q)
                        spikes = bits[b, k - lag] if k >= lag else 0 * bits[b, 0]
                        for sign, stored, r in zip((1, -1), own.stored(q),
                                                   own.at(receptor).shifts, strict=True):
                            total += sign * ((spikes @ stored.astype(np.int64)) << r)
                    sums.append(total)
                sums.append(0 * total)
                values = []
                for q in network.incoming(name):
                    if q.graded:
                        lag = q.shortest_delay - network.lead(q)
                        sent = found[q.source][b]
                        late = sent[k - lag] if k >= lag else 0 * sent[0]
                        values.append(late.astype(np.int32)[None, None])
                totals, _ = gated_sums(
                    own.parameters, [s.astype(np.int32)[None, None] for s in sums], values
                )
                done = run_egru(own.parameters, totals, state[name])
                state[name] = done.state
                found[name][b, k], fired[name][b, k] = done.sent[0, 0], done.spikes[0, 0]
    return fired


@pytest.mark.parametrize("seed", range(6))
def test_loops_and_lags_are_those_of_single_steps(seed):
    back = ("own", 0.6)[seed % 2]
    network = egru_network_of(seed, layers=1 + seed % 3, steps=17, back=back)
    samples = samples_for(network, 7, seed)  # more than a batch
    wanted = one_step_after_another(network, samples)
    found = integers.run(network, samples).spikes
    for name, spikes in wanted.items():
        assert np.array_equal(found[name], spikes)
    assert sum(spikes.sum() for spikes in wanted.values()) > 20


@pytest.mark.parametrize("seed", range(6))
def test_membranes_are_those_of_float64_but_for_rounding(seed):
    network = egru_network_of(seed, layers=2, steps=40)
    samples = samples_for(network, 6, seed)
    names = [p.name for p in network.populations]
    found = integers.run(network, samples, membranes=names)
    wanted = software.run(network, samples, membranes=names)
    for name, spikes in wanted.spikes.items():
        same = found.spikes[name] == spikes
        assert same.mean() > 0.995
        # Before the first difference of a sample nothing but rounding and the table's error.
        alike = np.logical_and.accumulate(same.all(axis=2), axis=1)
        apart = np.abs(found.membranes[name] - wanted.membranes[name]).max(axis=2)
        assert alike.mean() > 0.9 and apart[alike].max() < 2e-3
        assert np.abs(found.membranes[name]).max() <= 1


def test_a_trained_network_and_its_tables():
    checkpoint = egru_checkpoint(3, 30, channels=10, depth=2)
    network, samples = lower(checkpoint), samples_of(checkpoint, 8)
    plan = integers.plan_network(network)
    found, wanted = integers.run(network, samples), software.run(network, samples)
    for name, spikes in wanted.spikes.items():
        assert (found.spikes[name] != spikes).mean() < 0.005 < spikes.mean()
    text = describe_plan(network, plan)
    assert "layer0 -> layer0 (recurrent)" in text and "states never overflow" in text
    rows = plan_rows(network, plan)
    assert all(row["saturates"] == 0 for row in rows["sums"])
    assert all(row["can_saturate"] == 0 for row in rows["ring_buffers"])
    assert {row["receptor"] for row in rows["ring_buffers"]} == set(RECEPTORS)
    assert [row["population"] for row in rows["modes"]] == ["readout"]  # units have none
    asked = preflight(network, samples)
    assert [row["name"] for row in asked.rows] == ["layer0", "layer1", "readout"]
    board_backend(network).check(network)


def test_nothing_is_cut_whatever_arrives():
    """All sources at once, with weights of one sign, events at every step: the bounds hold."""
    network = egru_network_of(2, layers=2, steps=12, late=0)
    up = [
        dataclasses.replace(p, weights=np.abs(p.weights) * (-40 if p.receptor == "update" else 40))
        for p in network.projections
    ]
    network = dataclasses.replace(network, projections=tuple(up))
    full = np.full((1, network.source.channels, 12), 2**network.source.bits - 1, np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = integers.run(network, full)
    assert all(spikes.any() for spikes in found.spikes.values())
    bounds = reach_for_all(network)
    assert all((bounds[p.name].membrane == 1).all() for p in network.layers)


def test_thresholds_beyond_reach_are_never_exceeded():
    def some(rng, size):
        return unit(rng, size, theta=np.where(np.arange(size) % 2, np.inf, 0.01))

    network = egru_network_of(3, layers=1, cell=some)
    spikes = integers.run(network, samples_for(network, 3)).spikes["layer0"]
    assert spikes[:, :, ::2].any() and spikes.shape[2] > 1 and not spikes[:, :, 1::2].any()


def test_values_of_several_delays_are_refused():
    network = egru_network_of(0, layers=2, late=0)
    q = next(p for p in network.projections if p.graded and p.target == "layer1")
    later = Projection(q.source, q.target, q.weights, q.shortest_delay + 1, q.receptor, True)
    twice = dataclasses.replace(network, projections=(*network.projections, later))
    with pytest.raises(SpinnakerNativeError, match="population 'layer1': values of one source"):
        integers.plan_network(twice)


@pytest.mark.parametrize(("receptor", "limit"), [("input", 32768), ("update", 65536)])
def test_sums_beyond_the_tables_are_refused(receptor, limit):
    network = egru_network_of(0, layers=1, late=0)
    wide = [
        dataclasses.replace(p, weights=p.weights * 1e6)
        if p.target == "layer0" and p.receptor == receptor else p
        for p in network.projections
    ]
    with pytest.raises(SpinnakerNativeError, match=f"its {receptor} reaches .* less than {limit}"):
        integers.plan_network(dataclasses.replace(network, projections=tuple(wide)))


def test_a_calibration_is_refused():
    network = egru_network_of(0, layers=1)
    with pytest.raises(integers.SpinnakerLoopError, match="calibration counts what arrives"):
        integers.calibrate(network, samples_for(network, 2))
