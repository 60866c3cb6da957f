"""Differences in NEST: every bit of the network of counts, and the cells and synapses by hand."""

import numpy as np
import pytest
from pyNN.errors import ConnectionError as PyNNConnectionError
from support.differences import drawn, of_counts
from support.nest_reference import branches_of
from support.nest_simulator import IN_NEST, setup, sim, wire
from support.scalar_simulator import assert_same_bits

from export.pynn.built import build, run, setup_arguments
from export.software import simulation as software
from pynn_models import StateSpaceCell
from pynn_models.cells import CellParameterError, Multiplicity
from pynn_models.nest import (
    DenseConnector,
    DifferenceSynapse,
    GradedSynapse,
    ProjectionError,
    RawStaticSynapse,
    StateSpace,
    SynapsesConnector,
    cell_type,
    inject_currents,
)

pytestmark = IN_NEST


@pytest.mark.parametrize(("kind", "seed"), [
    ("bits", 0), ("current", 1), ("gated", 2), ("looped", 0), ("looped", 1),
])
def test_every_membrane_is_that_of_the_network_of_counts(kind, seed):
    """Samples stream, with and without a gap in between."""
    network, samples = drawn(seed, kind)
    names = [p.name for p in network.populations]
    found = run("nest", network, samples, membranes=names)
    assert_same_bits(network, samples, found)
    expected = software.run(of_counts(network), samples, membranes=names)
    for name in names:
        assert (found.membranes[name] == expected.membranes[name]).all()


def test_a_script_records_what_is_sent():
    network, samples = drawn(1, "bits")
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples[:1])
    name = next(p.name for p in network.populations if p.differences)
    built.record()
    built.populations[name].record("difference")
    sim.run(built.duration)
    counts = built.recording().spikes[name][0].astype(int)
    signal = built.populations[name].get_data("difference").segments[0].analogsignals[0]
    first = built.first_steps[name] + 1
    found = np.asarray(signal.magnitude)[first : first + network.steps]
    assert (found == np.diff(counts, axis=0, prepend=0)).all() and found.any()


def counter(size=1, levels=3, differences=True):
    """Neurons whose count is their input, cut to 0 .. levels."""
    further = Multiplicity(further=np.arange(1.5, levels)[None].repeat(size, 0))
    none = np.zeros((size, 0))
    return StateSpaceCell(
        tau=none, c_re=none, d=np.ones(size), theta=np.full(size, 0.5), bias=np.zeros(size),
        multiplicity=further, differences=differences,
    )


DRIVE = [0.0, 1, 3, 3, 9, 0, 0, 2, 1]


def sums(period=0, active=0, receptor="excitatory", branches=None, connector=None, early=0):
    """u of a neuron that counters of 2, 3, ... times the drive send to, by 0.5 and -0.25."""
    setup()
    first = 4
    source = sim.Population(2, cell_type(counter(2), first, period, active))
    target = sim.Population(1, wire([0.0], branches, first_step=first + 1 + early))
    target.record(["u"])
    inject_currents(source, [DRIVE, DRIVE[::-1]], np.eye(2), first)
    sim.Projection(
        source, target, connector or DenseConnector([[0.5], [-0.25]]),
        DifferenceSynapse(delay=1.0), receptor_type=receptor,
    )
    sim.run(first + len(DRIVE) + 4.0)
    return np.asarray(target.get_data("u").segments[0].analogsignals[0].magnitude)[first + 2 :, 0]


COUNTS = [min(v, 3) for v in DRIVE]
EXPECTED = [0.5 * a - 0.25 * b for a, b in zip(COUNTS, COUNTS[::-1], strict=True)]


def test_a_receiver_adds_up_by_hand():
    assert sums()[: len(DRIVE)].tolist() == EXPECTED


def test_single_synapses_carry_them_too():
    connector = SynapsesConnector([0, 1], [0, 0], [0.5, -0.25], [1.0, 3.0])
    late = [0, 0, *COUNTS[::-1]]
    expected = [0.5 * a - 0.25 * b for a, b in zip(COUNTS, late, strict=False)]
    assert sums(connector=connector)[: len(DRIVE)].tolist() == expected


def test_what_comes_before_the_first_step_is_thrown_away():
    """As all input is: the sums are of what differs from then on."""
    found = sums(early=3)[3 : len(DRIVE)]
    assert found.tolist() == [v - EXPECTED[2] for v in EXPECTED[3:]]


@pytest.mark.parametrize("receptor", ["value0", "gate1"])
def test_gated_receptors_add_up_each_for_itself(receptor):
    branches = branches_of(np.random.default_rng(0), "glu", 1, 2)
    found, p = sums(receptor=receptor, branches=branches)[: len(DRIVE)], int(receptor[-1])
    value, gate = (np.zeros((len(DRIVE), 2)) for _ in range(2))
    (value if receptor.startswith("value") else gate)[:, p] = EXPECTED
    value, gate = value + branches.value_bias, gate + branches.gate_bias
    assert np.allclose(found, (value / (1 + np.exp(-gate))).sum(1), rtol=1e-14)


def pair(differences, synapse, connector=None):
    setup()
    source = sim.Population(2, cell_type(counter(2, differences=differences)))
    target = sim.Population(2, wire([0.0, 0.0]))
    return sim.Projection(source, target, connector or DenseConnector(np.ones((2, 2))), synapse)


def test_synapses_fit_what_the_cells_send():
    with pytest.raises(ProjectionError, match="pre send membranes, and no differences; the syn"):
        pair(False, DifferenceSynapse(delay=1.0))
    with pytest.raises(ProjectionError, match="pre send differences, and no membranes; the syn"):
        pair(True, GradedSynapse(delay=1.0))
    one_to_one = sim.OneToOneConnector()
    with pytest.raises(PyNNConnectionError, match="snn_ssm_difference: the source has"):
        pair(False, DifferenceSynapse(weight=1.0), one_to_one)
    with pytest.raises(PyNNConnectionError, match="snn_ssm_graded: the source has differences = 1"):
        pair(True, GradedSynapse(weight=1.0), one_to_one)


def test_spikes_are_counts_all_the_same():
    """For recorders, and for cells that count by themselves."""
    assert len(pair(True, RawStaticSynapse(delay=1.0))) == 4


def test_only_cells_that_send_differences_record_them():
    setup()
    assert "difference" in cell_type(counter()).recordable
    assert "difference" not in cell_type(counter(differences=False)).recordable
    with pytest.raises(CellParameterError, match="differences is .*expected 0 or 1, the same for"):
        StateSpace(differences=[0, 1])
    with pytest.raises(CellParameterError, match="differences is 2"):
        StateSpace(differences=2)
