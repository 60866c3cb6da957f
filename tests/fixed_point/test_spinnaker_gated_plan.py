"""Plans of gated networks: what never overflows, what saturates and says so, the report's rows."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import gated_network_of, lowered, samples_for

from export.description.network import INPUT_RECEPTOR
from export.fixed_point import simulation as spinnaker
from export.fixed_point.gated import SpinnakerNativeError
from export.fixed_point.reach import planned_reach, reach_for_all, reach_of, unbounded
from export.fixed_point.report import describe_plan, plan_tables
from export.software import simulation as software
from pynn_models.cells import Reset
from pynn_models.spinnaker.gated_parameters import GRADED_LIMIT

SEEDS = st.integers(0, 2**32 - 1)


def scaled(network, rng, reach=8):
    """The network with each receptor of each neuron scaled by a power of two of its own."""
    factors = {}

    def factor(target, receptor, size):
        key = target, receptor
        if key not in factors:
            factors[key] = 2.0 ** rng.integers(-reach, reach, size)
        return factors[key]

    projections = tuple(
        p if p.graded else dataclasses.replace(
            p, weights=p.weights * factor(p.target, p.receptor, p.weights.shape[1])
        )
        for p in network.projections
    )
    return dataclasses.replace(network, projections=projections)


@settings(max_examples=15)
@given(SEEDS, st.sampled_from(["glu", "gsu"]))
def test_samples_stay_within_the_bounds_for_all_inputs(seed, kind):
    """Sums of every kind, of networks whose scales span many powers of two."""
    network = scaled(gated_network_of(seed, kind, layers=2), np.random.default_rng(seed), 4)
    bounds, found = reach_for_all(network), reach_of(network, samples_for(network, 4))
    for name, bound in bounds.items():
        for field in ("total", "value", "gate", "product"):
            twice = getattr(found[name], field)
            assert (twice / 2 <= getattr(bound, field) * (1 + 1e-12)).all(), (name, field)


@settings(max_examples=15)
@given(SEEDS)
def test_gated_linear_units_never_saturate(seed):
    """Whatever the input and the scales: no sum is cut, and membranes are those of float64."""
    rng = np.random.default_rng(seed)
    network = scaled(gated_network_of(seed, "glu", layers=2), rng)
    names = [p.name for p in network.populations]
    samples = samples_for(network, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", spinnaker.SaturationWarning)
        spinnaker.run(network, samples, membranes=names)
    assert unbounded(network) == set()


def test_what_has_no_bound_is_planned_for_samples():
    _, network, samples = lowered("gsu", 0)
    assert unbounded(network) == {"layer1", "layer1_negative", "stream", "readout"}
    bounds, assumed = reach_for_all(network), planned_reach(network)
    observed = planned_reach(network, samples)
    for name in ("layer1", "stream"):
        most = bounds[name].gate
        assert np.array_equal(assumed[name].gate, np.minimum(most, 4096.0))
        assert np.array_equal(
            observed[name].gate, np.minimum(most, reach_of(network, samples)[name].gate)
        )
    assert np.array_equal(observed["layer0"].total, bounds["layer0"].total)


def test_products_beyond_the_plan_saturate_and_warn():
    """The plan of weak samples, run on strong ones: a warning names the populations."""
    _, network, samples = lowered("gsu", 1, count=6)
    plan = spinnaker.make_plan(network, samples[:1] * 0)
    message = "products or sums of .*stream.* were cut to 32 bits"
    with pytest.warns(spinnaker.SaturationWarning, match=message):
        spinnaker.run(
            network, samples, plan=plan, membranes=["readout"], allow_overflow=True
        )


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_the_integers_of_a_plan(kind):
    network = gated_network_of(4, kind, layers=3)
    plan = spinnaker.plan_network(network)
    for name, found in plan.populations.items():
        p = found.parameters
        assert p.n_receptors == len(found.names) and found.names[0] == INPUT_RECEPTOR
        assert len(found.all_shifts) == 2 * len(found.names)
        assert found.max_expected_summed_weight == [0.75 * 2.0**r for r in found.all_shifts]
        for graded in p.graded:
            assert np.abs(graded.weights.astype(int)).sum(axis=0).max() < GRADED_LIMIT
            assert np.abs(graded.weights).max() > 2**12  # all the bits that there are
        for projection in network.incoming(name):
            bits = 14.0 if projection.graded else 15.0
            error = np.abs(found.held(projection) - projection.weights).max()
            assert error <= 2.0**-bits * np.abs(projection.weights).max() * 4


@pytest.mark.parametrize("seed", range(4))
def test_what_a_soft_reset_adds_to_a_membrane_counts_where_it_is_sent(seed):
    """r < 0: each spike adds to the state, and the bound of what graded projections bring."""
    network = gated_network_of(seed, "gsu")
    first = network.populations[0]
    size = first.cell.tau.shape
    r_im = np.zeros(size) if first.cell.is_complex else None
    always = np.full(first.size, -1e6)
    plain = dataclasses.replace(first.cell, theta=always)
    cell = dataclasses.replace(plain, reset=Reset(r_re=np.full(size, -3.0), r_im=r_im))
    for one, c in ((plain, plain), (cell, cell)):
        network = dataclasses.replace(network, populations=(
            dataclasses.replace(first, cell=c), *network.populations[1:]
        ))
        bound = reach_for_all(network)[first.name].membrane
        run = software.run(network, samples_for(network), membranes=[first.name])
        reached = np.abs(run.membranes[first.name]).max(axis=(0, 1))
        assert (reached <= bound * (1 + 1e-12)).all()
        kick = first.kind.kick(one, network.timestep, network.steps)
        assert (kick > 0).all() == (one is cell and first.cell.n_modes > 0)


def test_the_report_of_gated_sums():
    _, network, samples = lowered("gsu", 0)
    for calibration in (None, samples):
        plan = spinnaker.make_plan(network, calibration)
        rows = plan_tables(network, plan).sums
        bounds = reach_for_all(network)
        found = {(r.population, r.sums): r for r in rows}
        assert {sums for _, sums in found} == {"input", "value", "gate", "product"}
        for (name, sums), row in found.items():
            field = "total" if sums == "input" else sums
            most = getattr(bounds[name], field)
            held, _ = plan.populations[name].sums()[field]
            assert (row.number, row.bound) == (most.size, most.max())
            assert row.reach <= row.bound and row.saturates == int((most > held).sum())
        assert found["layer0", "input"].saturates == 0
        assert found["stream", "product"].saturates > 0
        assert "Products have no bound for all inputs: " in describe_plan(network, plan)


def test_a_gate_beyond_s1615_is_refused():
    network = gated_network_of(2, "glu")
    changed = tuple(
        dataclasses.replace(p, weights=np.full_like(p.weights, 2.0**18))
        if p.receptor == "gate0" else p
        for p in network.projections
    )
    with pytest.raises(SpinnakerNativeError, match=r"branch 0: its gate reaches .*65536"):
        spinnaker.plan_network(dataclasses.replace(network, projections=changed))


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_a_shipped_network_stays_near_float64(kind):
    """Two digits of smnist: spikes within 0.3 %, logits within 1 %, the same classes."""
    from pathlib import Path

    from export.lowering.network import lower
    from snn_ssm.checkpoint import load_checkpoint

    root = Path(__file__).resolve().parents[2] / "examples"
    network = lower(load_checkpoint(root / "checkpoints" / f"smnist-{kind}"))
    samples = np.load(root / "data" / "mnist-test-200.npz")["inputs"][:2]
    expected = software.run(network, samples, membranes=["readout"])
    found = spinnaker.run(network, samples, membranes=["readout"])
    for name, spikes in expected.spikes.items():
        assert (found.spikes[name] != spikes).sum() <= 0.003 * spikes.sum()
    last, exact = found.membranes["readout"][:, -1], expected.membranes["readout"][:, -1]
    assert np.abs(last - exact).max() < 0.01 * np.abs(exact).max()
    assert np.array_equal(last.argmax(axis=1), exact.argmax(axis=1))
