"""What cores are estimated to execute: the sum by hand, and what they execute on the board."""

import dataclasses
import logging

import numpy as np
import pytest
from support.egru_networks import egru_network_of
from support.gated_networks import gated_network_of, lowered
from support.on_board import needs_board

from export.boards import cost, execution
from export.boards.config import Board
from export.boards.execution import BoardRun, check_fits, execute, source_cores
from export.boards.tables import describe, executed
from export.boards.worker import DoesNotFitError
from export.description.multiplicity import in_units
from export.pynn.registry import board_backend
from export.samples.inputs import encode
from export.software import simulation as software


def biased_leaky_network(channels, steps=30, count=4, seed=3):
    """A LIF network of which every third neuron has no bias, half of the synapses are none."""
    _, network, samples = lowered(
        "lif", seed, steps=steps, count=count, channels=channels, depth=3, dt_min=0.05
    )
    rng = np.random.default_rng(seed)
    populations = []
    for p in network.populations:
        if p in network.layers:
            bias = np.where(np.arange(p.size) % 3 == 0, 0.0, p.cell.bias)
            p = dataclasses.replace(p, cell=dataclasses.replace(p.cell, bias=bias))
        populations.append(p)
    projections = [
        dataclasses.replace(p, weights=p.weights * (rng.random(p.weights.shape) < 0.5))
        for p in network.projections
    ]
    made = dataclasses.replace(
        network, populations=tuple(populations), projections=tuple(projections)
    )
    return made, samples


def by_hand(network, backend, copies, traffic, name, lo, hi, ticks):
    """A core's instructions in the ticks of the first run, spike by spike."""
    population = network.population(name)
    own = {"lif": 138, "stock": 160}[network.cells]
    found = np.full(ticks, 504.0 + own * (hi - lo))
    held = [(i // population.size, i % population.size) for i in range(lo, hi)]
    constant = backend.driven(network, population)
    biased = sum(bool(constant[h]) for _, h in held)
    found += 811 + 25 * biased if biased else 0
    for copy, h in held:
        for k in range(network.steps):
            found[population.latency + k] += 42 * traffic[name][copy, k, h]
    for projection in network.incoming(name):
        source, pre = projection.source, len(projection.weights)
        size = 256 if source == "input" else backend.per_core(network, population)
        start = 0 if source == "input" else network.population(source).latency
        targets = {
            c * pre + i: sum(1 for copy, h in held if copy == c and projection.weights[i, h])
            for c in range(copies) for i in range(pre)
        }
        for c in range(copies):
            for i in range(pre):
                neighbours = [n for n in targets if n // size == (c * pre + i) // size]
                if not any(targets[n] for n in neighbours):
                    continue
                number = targets[c * pre + i]
                for k in range(network.steps):
                    if traffic[source][c, k, i]:
                        found[start + k] += 811 + 25 * number if number else 180
    return found


@pytest.mark.parametrize(("copies", "per_core"), [(1, 5), (2, 16), (2, 5), (4, 64)])
def test_a_core_takes_what_its_spikes_take_one_by_one(copies, per_core):
    network, samples = biased_leaky_network(7, steps=6, count=copies)
    backend = board_backend(network, per_core)
    traffic = cost.traffic_of(network, samples)
    cores = list(cost.core_costs(network, backend, copies))
    assert sum(core.neurons for core in cores) == copies * sum(p.size for p in network.layers)
    for core in cores:
        [found] = core.over(network, traffic)
        wanted = by_hand(network, backend, copies, traffic, core.population, core.first,
                         core.first + core.neurons, len(found))
        assert np.allclose(found, wanted, rtol=0, atol=1e-6)
        assert core.most >= found.max() and core.at({}) >= core.always


def test_samples_that_stream_are_runs_of_their_own():
    _, network, samples = lowered("soft reset", 2, steps=9, count=3)
    traffic = cost.traffic_of(network, samples)
    [core, *_] = cost.core_costs(network, board_backend(network), 1)
    found = core.over(network, traffic)
    assert len(found) == 3
    for b in range(3):
        alone = {name: spikes[b : b + 1] for name, spikes in traffic.items()}
        assert np.array_equal(core.over(network, alone), found[b : b + 1])


def test_rates_are_those_of_the_input_and_the_layers():
    _, network, samples = lowered("integer", 2, steps=9, count=3)
    traffic = cost.traffic_of(network, samples)
    units = in_units(network)
    assert set(traffic) == {units.source.name, *(p.name for p in units.populations)}
    rates, spikes = cost.mean_rates(traffic), software.run(units, samples).spikes
    assert rates["input"] == encode(units, samples).mean()
    assert all(rates[name] == found.mean() for name, found in spikes.items())


def test_graded_sources_cost_whatever_they_send():
    network = gated_network_of(3, "gsu", layers=2)
    sources = network.population("layer0").size
    found = {core.population: core for core in cost.core_costs(network, board_backend(network), 1)}
    core, cell = found["layer1"], network.population("layer1").state_space
    own = 67 + cell.n_modes * (19 if cell.is_complex else 11) + 63 + 178
    packets = 50 * sources + core.neurons * (75 + 6 * sources)
    assert core.always == 504 + core.neurons * own + packets


def test_values_cost_with_their_events_only():
    """Once a source, however many receptors it reaches; the sums at every step."""
    network = egru_network_of(3, layers=2, late=0)
    cores = {c.population: c for c in cost.core_costs(network, board_backend(network), 1)}
    core = cores["layer1"]
    graded = [q for q in network.incoming("layer1") if q.graded]
    sums = sum(75 + 6 * len(q.weights) for q in graded)
    assert core.always == 504 + core.neurons * (416 + sums)
    for name in {q.source for q in graded}:
        own = 42 + 20 if name == "layer1" else 0
        assert (core.spike[name] == 50 + own).all()


def test_a_factor_is_for_the_most_cycles_that_an_instruction_may_take():
    fits = 200_000 / 1.67
    assert [cost.time_scale(n, 1.0) for n in (1, int(fits), int(fits) + 1)] == [1, 1, 2]
    assert cost.time_scale(fits, 0.1) == 10


def test_sources_of_constants_take_cores_that_are_counted():
    network, _ = biased_leaky_network(7)
    backend = board_backend(network, 7)
    assert source_cores(network, backend, 1) == 1 + 3  # the input's, and one a layer
    board = Board(machine_version=201)  # of one chip
    check_fits(network, board, board_backend(network, 1), 1)
    crowded = dataclasses.replace(board, neurons_per_core=1)
    with pytest.raises(DoesNotFitError, match="needs 140 cores"):
        check_fits(network, crowded, board_backend(network, 1), 20)


def test_a_board_that_would_be_late_is_warned_of(monkeypatch, caplog):
    network, samples = biased_leaky_network(20, steps=9)
    fast = dataclasses.replace(network, timestep=0.05)
    recording = software.run(fast, samples)
    monkeypatch.setattr(execution, "execute", lambda *given: BoardRun({}, recording))
    monkeypatch.setattr(logging.getLogger("snn_ssm"), "propagate", True)
    needed = execution.planned_factor(fast, samples, Board("192.168.1.1"))
    assert needed > 3
    for board, told in [
        (Board("192.168.1.1"), True), (Board("192.168.1.1", time_scale_factor=needed), False),
        (Board("emulated"), False),
    ]:
        caplog.clear()
        assert execution.run(fast, samples, board) is recording
        warned = f"Give --time-scale-factor {needed}." in caplog.text
        assert warned == told


@needs_board
def test_what_is_estimated_is_what_cores_execute():
    """Biases, two copies on a core, and synapses that are not all there: within 10 and 15 %."""
    network, samples = biased_leaky_network(20, steps=40)
    run = execute(network, samples, Board("emulated", neurons_per_core=40))
    report = run.report
    placed = {row["name"]: row["placed"] for row in report["populations"]}
    cores = {tuple(map(int, c["core"][5:].split(" (")[0].split(", "))): c
             for c in report["emulated"]["cores"]}
    traffic = cost.traffic_of(network, samples)
    count = 0
    for core in cost.core_costs(network, board_backend(network, 40), 4):
        [place] = [p[:3] for p in placed[core.population] if p[3] == core.first]
        ticks, measured = core.over(network, traffic), cores[tuple(place)]
        assert 0.9 < ticks.max() / measured["most"] < 1.15
        assert 0.9 < ticks.mean() / measured["instructions"] < 1.15
        count += 1
    assert count == 6  # two a layer
    printed = describe(network, Board("emulated"), report, samples)
    assert "\n".join(executed(network, report, samples)) in printed
    [_, row] = [line.split() for line in printed.splitlines() if line.startswith("layer2  ")]
    longest = max(cores[tuple(p[:3])]["most"] for p in placed["layer2"])
    assert row[1] == "2" and row[3] == f"{longest:,}"
