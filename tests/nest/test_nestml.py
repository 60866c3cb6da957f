"""The NESTML source of the native cell: what NEST makes of it against our own neuron.

The source is generated and compiled in NEST 3.10 by 'make test-simulators'.
"""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.cell_parts import parts_of
from support.nest_reference import branches_of, random_cell
from support.nest_simulator import IN_NEST, nest, setup, sim

from pynn_models.nest import NestmlError, build, cell_type, nestml_model, nestml_parameters

pytestmark = IN_NEST

SIZE, STEPS, PERIOD, ACTIVE, FIRST = 12, 400, 50, 46, 5

# NESTML's own builder asks a nest-config, which the wheel of NEST brings for another machine.
GENERATE = """
import sys
import pynestml.frontend.pynestml_frontend as frontend
frontend.builder_from_target_name = lambda target, options=None: (None, options)
frontend.generate_nest_target(
    input_path=sys.argv[3:], target_path=sys.argv[1], module_name=sys.argv[2],
    logging_level="ERROR",
)
"""


def cells():
    """A cell of each shape, by the name of its model."""
    rng = np.random.default_rng(3)

    def drawn(modes=5, is_complex=True, **parts):
        cell = random_cell(rng, SIZE, modes, is_complex)
        return replace(cell, **parts_of(rng, cell, **parts))

    return {
        "real_modes": drawn(is_complex=False),
        "without_modes": replace(drawn(modes=0), bias=np.full(SIZE, 0.01)),
        "soft_reset": drawn(reset="soft", refractory=2),
        "hard_reset": drawn(reset="hard", refractory=1),
        "history": drawn(history=4),
        "levels": drawn(levels=4),
        "all_parts": drawn(is_complex=False, reset="soft", refractory=1, history=2, levels=3),
        "gated": replace(drawn(), branches=branches_of(rng, "glu", SIZE, 2)),
    }


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The path of a NEST module with the generated neurons."""
    pytest.importorskip("pynestml", reason="nestml is not installed")
    directory = tmp_path_factory.mktemp("nestml")
    for name, cell in cells().items():
        (directory / f"{name}.nestml").write_text(nestml_model(cell, name))
    made = directory / "made"
    subprocess.run(
        [sys.executable, "-c", GENERATE, made, "nestmlmodule", *directory.glob("*.nestml")],
        check=True, capture_output=True, text=True,
    )
    ours, library = build._module(), directory / "nestmlmodule.so"
    subprocess.run(
        ["g++", *ours.flags, "-O1", *ours.includes, *map(str, made.glob("*.cpp")), "-o", library],
        check=True, capture_output=True, text=True,
    )
    return library


def run(make, receptors, module):
    """Spikes and membranes (steps, SIZE) of two populations, the second driven by the first."""
    rng = np.random.default_rng(9)
    setup()
    nest.Install(str(module))
    sources = nest.Create("spike_generator", 8)
    for source in sources:
        source.spike_times = np.flatnonzero(rng.random(STEPS) < 0.3) + float(FIRST)
    layers, recorders = [], []
    for i in range(2):
        layers.append(make(FIRST + i))
        recorders.append(nest.Create("spike_recorder"))
        meter = nest.Create("multimeter", params={"record_from": ["y"], "interval": 1.0})
        nest.Connect(layers[i], recorders[-1])
        nest.Connect(meter, layers[i])
        recorders.append(meter)
    for pre, post in ((sources, layers[0]), (layers[0], layers[1])):
        for receptor in receptors:
            weights = rng.normal(size=(SIZE, len(pre))) * 0.5
            nest.Connect(
                pre, post, "all_to_all",
                {"weight": weights, "delay": 1.0, "receptor_type": receptor},
            )
    nest.Simulate(STEPS + FIRST + 4.0)
    return [counted(*recorders[2 * i : 2 * i + 2], layers[i]) for i in range(2)]


def counted(spikes, meter, layer):
    shape = (STEPS + FIRST + 4, SIZE)
    found, y = np.zeros(shape, int), np.zeros(shape)
    np.add.at(found, place(spikes.events, layer), 1)
    y[place(meter.events, layer)] = meter.events["y"]
    return found, y


def place(events, layer):
    return np.rint(events["times"]).astype(int) - 1, events["senders"] - layer[0].global_id


@pytest.mark.simulators
@pytest.mark.parametrize("name", cells())
def test_the_generated_neuron_spikes_as_ours(module, name):
    cell = cells()[name]
    sample = {"period": PERIOD, "active": ACTIVE}
    branches = cell.branches.count if cell.branches else 0

    def make_ours(first_step):
        return sim.Population(SIZE, cell_type(cell, first_step, PERIOD, ACTIVE)).node_collection

    def make_theirs(first_step):
        made = nest.Create(name, SIZE)
        made.set(nestml_parameters(cell))
        made.set(first_step=first_step, **sample)
        return made

    expected = run(make_ours, range(1 + 2 * branches), module)
    found = run(make_theirs, range(1, 2 + 2 * branches) if branches else [0], module)
    for (spikes, y), (their_spikes, their_y) in zip(expected, found, strict=True):
        assert spikes.sum() > 200
        np.testing.assert_array_equal(their_spikes, spikes)
        np.testing.assert_allclose(their_y, y, rtol=0, atol=1e-12 * np.abs(y).max())


def test_membranes_of_others_have_no_words_in_nestml():
    rng = np.random.default_rng(0)
    gsu = replace(random_cell(rng, 2, 3), branches=branches_of(rng, "gsu", 2, 1))
    with pytest.raises(NestmlError, match=r"kind 'gsu'; NESTML has no graded events"):
        nestml_model(gsu)
    with pytest.raises(NestmlError, match="differences of its counts; NESTML has no graded events"):
        nestml_model(replace(random_cell(rng, 2, 3), differences=True))


@pytest.mark.parametrize("name", ["", "Neuron", "2d", "a-b", "a b", "../a"])
def test_a_name_that_is_no_identifier(name):
    with pytest.raises(NestmlError, match="expected small letters"):
        nestml_model(cells()["real_modes"], name)


@pytest.mark.parametrize("name", cells())
def test_every_value_of_a_neuron_is_a_parameter_of_its_model(name):
    cell = cells()[name]
    block = nestml_model(cell, name).split("    parameters:\n")[1].split("\n\n")[0]
    lengths = dict(re.findall(r"^ {8}(\w+) (?:\[(\d+)\] )?(?:real|integer)", block, re.M))
    for values in nestml_parameters(cell):
        assert {*values, "first_step", "period", "active"} == set(lengths)
        for parameter, value in values.items():
            assert lengths[parameter] == (str(len(value)) if isinstance(value, list) else "")
