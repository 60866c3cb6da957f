"""Gated networks on SpiNNaker 2: scales, tables, and the prediction against scalars of float32."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from support.files import ROOT
from support.float_equations import equations
from support.float_networks import random_floats, random_inputs
from support.gated_networks import gated_network_of, lowered, samples_for

from export.command.arguments import main
from export.description.multiplicity import in_units
from export.description.projection import Projection
from export.description.storage import save_network
from export.lowering.network import lower
from export.samples.readout import logits
from export.software import simulation as software
from export.spinnaker2 import Spinnaker2Error, budget, nir_graph, plan_network, runner
from export.spinnaker2.plan import mapped
from export.spinnaker2.stored import stored
from pynn_models.spinnaker2 import Float32Error, GradedFloats, gated_input
from pynn_models.spinnaker2.tables import NORMAL, SIGMOID, half
from snn_ssm.checkpoint import load_checkpoint

F = np.float32
GATED = ("glu", "gsu", "gsu of two matrices", "gsu without norm", "gsu of normed membranes",
         "glu of integers", "token glu", "events gsu")
NETWORKS = {
    **{kind: (kind, "folded") for kind in GATED},
    **{f"{kind}, relayed": (kind, "relayed") for kind in ("glu", "gsu", "glu of integers")},
}


def network_of(kind, seed):
    if kind.startswith("drawn"):
        mixing = kind.split()[1]
        network = gated_network_of(seed, mixing, encoding=kind.split()[2], layers=3, delay=2)
        return network, samples_for(network)
    name, residual = NETWORKS[kind]
    return lowered(name, seed, residual=residual, depth=3)[1:]


DRAWN = ("drawn glu bits", "drawn gsu bits", "drawn gsu token", "drawn glu spikes")


# --- the tables -------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "function", "bound"), [
    (SIGMOID, lambda x: 1 / (1 + math.exp(-x)), 3.0e-6),
    (NORMAL, lambda x: math.erfc(-x / math.sqrt(2)) / 2, 1.9e-6),
], ids=["sigmoid", "normal"])
def test_a_table_is_as_near_as_it_says(table, function, bound):
    x = np.concatenate([np.linspace(-20, 20, 20001), np.linspace(-2, 2, 20001)]).astype(F)
    error = [abs(half(table.entries, table.per_unit, v) - function(float(v))) for v in x]
    assert bound / 1.2 < max(error) <= bound


def test_the_table_at_its_ends():
    def f(x):
        return half(SIGMOID.entries, SIGMOID.per_unit, F(x))

    assert f(0) == 0.5 and f(-0.0) == 0.5
    assert f(-16) == 0 and f(16) == 1 and f(-np.inf) == 0 and f(1e38) == 1
    assert f(-1 / 64) == SIGMOID.entries[1] and 0 < f(-15.999) < 2e-7


# --- the plan ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*NETWORKS, *DRAWN])
def test_each_receptor_and_graded_projection_uses_all_of_its_bits(kind):
    network = in_units(network_of(kind, 1)[0])
    plan = plan_network(network)
    for population in mapped(network):
        p = plan.parameters[population.name]
        graded = iter(p.graded)
        for r, receptor in enumerate(population.receptors):
            onto = network.incoming(population.name, receptor)
            largest = np.zeros(population.size, int)
            for q in onto:
                stored, scale = plan.weights[q].astype(float), p.scale[:, r].astype(float)
                if q.graded:
                    one = next(graded)
                    assert one.receptor == r and one.weights is plan.weights[q]
                    scale = one.scale.astype(float)
                    whole = np.abs(stored).max(axis=0) == 127
                    assert (whole | ~q.weights.any(axis=0)).all()
                else:
                    largest = np.maximum(largest, np.abs(stored).max(axis=0))
                assert (np.abs(stored * scale - q.weights) <= scale * 0.5001).all()
            spikes = [q for q in onto if not q.graded]
            something = np.any([q.weights.any(axis=0) for q in spikes], axis=0) if spikes else False
            assert ((largest == 127) | ~np.asarray(something)).all()
        assert next(graded, None) is None


# --- the prediction ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*NETWORKS, *DRAWN])
def test_the_prediction_is_the_equations_in_float32(kind):
    network, samples = network_of(kind, 3)
    network, samples = in_units(network), samples[:2]
    names = [p.name for p in network.populations]
    found = runner(network)(samples, names)
    spikes, membranes = equations(network, samples)
    for name in names:
        assert np.array_equal(found.membranes[name], membranes[name].astype(np.float64)), name
        if network.population(name).spikes:
            assert (found.spikes[name] == spikes[name]).all()
    assert 0.02 < np.mean([s.mean() for s in found.spikes.values()]) < 0.98
    assert network.readout.population in found.membranes


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_is_close_to_float64(kind):
    network, samples = network_of(kind, 5)
    exact = software.run(network, samples, membranes=["readout"])
    found = runner(network)(samples, ["readout"])
    wrong = np.mean([(found.spikes[n] != exact.spikes[n]).mean() for n in found.spikes])
    assert wrong < 0.1
    expected, scores = logits(network, samples, exact), logits(network, samples, found)
    assert np.abs(scores - expected).max() < 0.3 * np.abs(expected).max()


def test_folded_and_relayed_are_one_network():
    """Not one arithmetic: sums are rounded elsewhere. Few spikes differ."""
    spikes = [
        runner(lowered("gsu", 2, residual=r, depth=3)[1])(
            lowered("gsu", 2, residual=r, depth=3)[2], []
        ).spikes for r in ("folded", "relayed")
    ]
    assert spikes[0].keys() == spikes[1].keys()
    assert np.mean([(spikes[0][n] != spikes[1][n]).mean() for n in spikes[0]]) < 0.1


def test_the_order_of_a_graded_sum_counts():
    """Ascending sources: another order gives other bits, which a sum in float64 would hide."""
    rng = np.random.default_rng(2)
    p = random_floats(rng, "", size=4, modes=0, sources=(40,))
    arriving = random_inputs(rng, p, 50)
    u = arriving.input(p)
    (graded,) = p.graded
    turned = GradedFloats(graded.weights[::-1], graded.scale, graded.receptor)
    values = arriving.values[0][None, :, ::-1]
    other = gated_input(
        type(p)(p.cell, p.bias, p.scale, None, (turned,)), arriving.sums(p)[None],
        [np.ascontiguousarray(values)],
    )
    assert not np.array_equal(u, other) and np.allclose(u, other, rtol=1e-4, atol=1e-4)


def test_what_leaves_float32_is_refused_by_name():
    network = gated_network_of(0, "gsu", layers=3)
    big = [
        type(q)(q.source, q.target, q.weights * 1e18, q.delay, q.receptor, q.graded)
        for q in network.projections
    ]
    network = replace(network, projections=tuple(big))
    with pytest.raises(Float32Error, match=r"population '\w+': a membrane is beyond 3.4e38, the"):
        runner(network)(samples_for(network), [])


def test_what_is_sent_must_be_finite():
    rng = np.random.default_rng(2)
    p = random_floats(rng, "", size=2, modes=0, sources=(3,))
    arriving = random_inputs(rng, p, 4)
    arriving.values[0][1, 2] = np.inf
    with pytest.raises(Float32Error, match="a membrane that is sent is not finite"):
        arriving.input(p)


def test_more_sources_than_there_can_be():
    with pytest.raises(Float32Error, match="has 65537 sources; expected at most 65536, which 16"):
        GradedFloats(np.zeros((2**16 + 1, 1), np.int8), np.ones(1), 0)
    many = Projection("a", "b", np.ones((132105, 1)), 1)
    with pytest.raises(Spinnaker2Error, match="'b' has 132105 sources; a sum of so many weights"):
        stored([many], 1)


# --- what is refused, the budget, the command line --------------------------------------------


def test_py_spinnaker2_has_no_such_neurons():
    with pytest.raises(Spinnaker2Error, match="have no native neurons. Train with model.cells"):
        nir_graph(lowered("glu")[1])


def test_a_budget_of_a_gated_network():
    network = lowered("gsu", depth=2)[1]
    rows = {row["population"]: row for row in budget(network)}
    assert list(rows) == [p.name for p in network.populations]
    plan = plan_network(network)
    p = plan.parameters["layer1"]
    links = int(np.count_nonzero(p.graded[0].weights, axis=0).max())
    row, modes = rows["layer1"], p.cell.a_re.shape[1]
    # scale and bias of each receptor, shift, gain; scale, count, links; the cell; three sums.
    words = 3 + 3 + 2 + 2 + links + 3 + 6 * modes + 3
    spikes = [q for q in network.incoming("layer1") if not q.graded]
    assert row["bytes_a_neuron"] == 4 * words + sum(len(q.weights) for q in spikes)
    each = 53 + 22 * modes + 69 + 26 + 12 * links + 3 * 8
    assert row["instructions"] == 90 + 6 * each + 13 * len(p.graded[0].weights)
    assert row["bytes_shared"] == 4 * (1025 + 2 + 4 + len(p.graded[0].weights))


def test_cores_are_as_many_as_let_a_step_end_in_time():
    network = lowered("gsu", depth=2, channels=64, modes=16)[1]
    for timestep in (1.0, 0.5, 0.1):
        for row in budget(replace(network, timestep=timestep)):
            assert row["cores"] == row["neurons"] or row["microseconds"][1] <= timestep * 1e3
    few, many = (
        sum(row["cores"] for row in budget(replace(network, timestep=t))) for t in (1e3, 0.5)
    )
    assert few == len(mapped(network)) and many > 2 * few


TABLE = re.compile(r"\| (`[^|]+) \| ([\d,]+) \| (\d+) \| ([\d,]+) \| (\d+) us \|")


def documented():
    """Each network of the how-to's table of cores, its residual, and its numbers."""
    text = (ROOT / "docs" / "how-to" / "spinnaker2.md").read_text()
    for names, *numbers in TABLE.findall(text):
        residual = "relayed" if "relayed" in names else "folded"
        for name in re.findall(r"`([^`]+)`", names):
            yield name, residual, [int(n.replace(",", "")) for n in numbers]


def test_the_table_of_cores_is_what_inspect_prints():
    rows = list(documented())
    assert len(rows) == 16 and len({name for name, _, _ in rows}) == 13
    for name, residual, numbers in rows:
        checkpoint = load_checkpoint(ROOT / "examples" / "checkpoints" / name)
        found = budget(in_units(lower(checkpoint, residual=residual)))
        assert numbers == [
            sum(row["neurons"] for row in found), sum(row["cores"] for row in found),
            max(row["instructions"] for row in found),
            round(max(row["microseconds"][1] for row in found)),
        ], name


def test_run_and_inspect(tmp_path, capsys):
    network, samples = network_of("gsu, relayed", 1)
    (tmp_path / "n").mkdir()
    save_network(network, tmp_path / "n")
    np.savez(tmp_path / "x.npz", inputs=samples, labels=np.zeros(len(samples), int))
    data = ["--data", str(tmp_path / "x.npz")]
    assert main(["run", str(tmp_path / "n"), "--backend", "spinnaker2-software", *data]) == 0
    assert "from the population 'readout', 3 samples" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "n"), "--spinnaker2"]) == 0
    out = capsys.readouterr().out
    assert "stream0: 6 neurons of" in out and "of 152 cores, an estimate" in out
    for other in (["--spinnaker"], ["--board", "virtual"]):
        assert main(["inspect", str(tmp_path / "n"), "--spinnaker2", *other]) == 2
        assert "show different things" in capsys.readouterr().err
