"""Networks on disk: bit for bit there and back, and every way in which one is refused."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cell_parts import with_differences, with_parts
from support.gated_networks import KINDS, gated_network_of, leaky_network_of, lowered
from support.looped_networks import looped_network_of
from support.random_networks import checkpoint_of, network_of

from export.description.network import (
    Network,
    NetworkError,
    Population,
    Projection,
    Readout,
    Source,
)
from export.description.storage import (
    ARRAYS_FILE,
    NETWORK_FILE,
    StorageError,
    digest,
    load_network,
    save_network,
)
from export.lowering.network import lower
from export.software import simulation as software
from pynn_models import CellParameterError, SnnSsmError
from pynn_models.cells import LeakyCell, StateSpaceCell
from snn_ssm.files import FileError, pack_arrays, read_arrays, sha256

LEAVES = ["tau", "omega", "c_re", "c_im", "d", "theta", "bias"]
PARTS = {"reset": ["r_re", "r_im"], "history": ["a"], "multiplicity": ["further"]}
LEAKY_LEAVES = ["tau", "theta", "bias"]
BRANCH_LEAVES = ["value_bias", "gate_bias", "shift", "gain"]


def assert_same(found, original):
    for name in ("timestep", "steps", "source", "readout", "origin", "cells"):
        assert getattr(found, name) == getattr(original, name)
    assert len(found.populations) == len(original.populations)
    for one, two in zip(found.populations, original.populations, strict=True):
        assert (one.name, one.latency) == (two.name, two.latency)
        assert type(one.cell) is type(two.cell)
        for leaf in LEAKY_LEAVES if isinstance(one.cell, LeakyCell) else LEAVES:
            assert_same_array(getattr(one.cell, leaf), getattr(two.cell, leaf))
        assert not isinstance(one.cell, StateSpaceCell) or same_parts(one.cell, two.cell)
        assert (one.branches is None) == (two.branches is None)
        if one.branches is not None:
            assert one.branches.kind == two.branches.kind
            for leaf in BRANCH_LEAVES:
                assert_same_array(getattr(one.branches, leaf), getattr(two.branches, leaf))
    for one, two in zip(found.projections, original.projections, strict=True):
        for name in ("source", "target", "receptor", "graded"):
            assert getattr(one, name) == getattr(two, name)
        assert type(one.delay) is type(two.delay) and np.array_equal(one.delay, two.delay)
        assert_same_array(one.weights, two.weights)
        assert_same_array(one.mask, two.mask)


def same_parts(one, two):
    for part, leaves in PARTS.items():
        a, b = getattr(one, part), getattr(two, part)
        assert (a is None) == (b is None), part
        for leaf in leaves if a is not None else ():
            assert_same_array(getattr(a, leaf), getattr(b, leaf))
    assert one.reset is None or one.reset.refractory == two.reset.refractory
    assert one.differences == two.differences
    return True


def assert_same_array(one, two):
    if two is None:
        assert one is None
    else:
        assert one.dtype == two.dtype and one.shape == two.shape
        assert one.tobytes() == two.tobytes()


@pytest.fixture
def saved(tmp_path):
    """A network and the directory it was saved to."""
    network = network_of(4)
    save_network(network, tmp_path / "network")
    return network, tmp_path / "network"


def rewrite(directory, change):
    """Alter network.json and bring its hashes up to date, as a hostile or buggy program might."""
    path = directory / NETWORK_FILE
    description = json.loads(path.read_text())
    del description["arrays_sha256"]
    arrays, _ = read_arrays(directory / ARRAYS_FILE, "arrays")
    change(description, arrays)
    canonical = json.dumps(description, sort_keys=True).encode()
    data = pack_arrays(arrays, {"description_sha256": sha256(canonical)})
    (directory / ARRAYS_FILE).write_bytes(data)
    path.write_text(json.dumps({**description, "arrays_sha256": sha256(data)}))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    layers=st.integers(0, 4),
    timestep=st.floats(1e-3, 100),
    tied=st.booleans(),
)
def test_there_and_back_bit_for_bit(tmp_path_factory, seed, encoding, layers, timestep, tied):
    directory = tmp_path_factory.mktemp("storage") / "network"
    original = network_of(seed, encoding=encoding, layers=layers, timestep=timestep, tied=tied)
    save_network(original, directory)
    assert_same(load_network(directory), original)
    assert sorted(p.name for p in directory.iterdir()) == [ARRAYS_FILE, NETWORK_FILE]


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
def test_a_lowered_network_there_and_back(tmp_path, init):
    original = lower(checkpoint_of(mode_init=init))
    save_network(original, tmp_path / "network")
    assert_same(load_network(str(tmp_path / "network")), original)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["glu", "gsu"]),
    encoding=st.sampled_from(["bits", "current", "token", "spikes"]),
    layers=st.integers(1, 3),
)
def test_gated_networks_there_and_back(tmp_path_factory, seed, kind, encoding, layers):
    directory = tmp_path_factory.mktemp("storage") / "network"
    original = gated_network_of(seed, kind, encoding=encoding, layers=layers)
    save_network(original, directory)
    assert_same(load_network(directory), original)


@pytest.mark.parametrize("encoding", ["bits", "current", "spikes"])
def test_leaky_networks_there_and_back(tmp_path, encoding):
    original = leaky_network_of(1, encoding=encoding)
    save_network(original, tmp_path / "network")
    assert_same(load_network(tmp_path / "network"), original)


@pytest.mark.parametrize("seed", range(8))
def test_cells_with_parts_there_and_back(tmp_path, seed):
    """In schema 2, which a reader of schema 1 refuses: it would pass over the parts."""
    original = with_parts(network_of(seed), seed)
    save_network(original, tmp_path / "network")
    assert_same(load_network(tmp_path / "network"), original)
    description = json.loads((tmp_path / "network" / NETWORK_FILE).read_text())
    assert description["schema"] == 2
    keys = {key for entry in description["populations"] for key in entry}
    assert keys & {"reset", "refractory", "history", "levels"}


def test_populations_that_send_differences_there_and_back(tmp_path):
    original = with_differences(network_of(1), 1)
    save_network(original, tmp_path / "network")
    found = load_network(tmp_path / "network")
    assert_same(found, original)
    assert digest(found) == digest(original) != digest(network_of(1))
    description = json.loads((tmp_path / "network" / NETWORK_FILE).read_text())
    assert description["schema"] == 2
    entries = {e["name"]: e.get("differences") for e in description["populations"]}
    assert entries == {p.name: p.differences or None for p in original.populations}


def test_weights_of_a_file_that_differences_would_round(tmp_path):
    """A stored network is checked as a made one is."""
    original = with_differences(network_of(1), 1)
    save_network(original, tmp_path / "network")
    name = next(p.name for p in original.populations if p.differences)
    sent = next(p for p in original.projections if p.source == name and len(p.weights) > 1)
    key = f"projections.{sent.source}.{sent.target}.weights"

    def change(description, arrays):
        arrays[key] = np.concatenate([arrays[key][:1] * 0 + 2.0**-90, arrays[key][1:]])

    rewrite(tmp_path / "network", change)
    with pytest.raises(NetworkError, match="more digits than a float64 has"):
        load_network(tmp_path / "network")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("reset", "firm", "a reset 'firm', none of soft, hard"),
        ("reset", 1, r"populations\[0\].reset is 1"),
        ("refractory", -1, r"populations\[0\].refractory is -1"),
        ("history", "long", r"populations\[0\].history is 'long'"),
        ("levels", 1.5, r"populations\[0\].levels is 1.5"),
        ("differences", 1, r"populations\[0\].differences is 1"),
    ],
)
def test_parts_that_are_none(saved, key, value, message):
    _, directory = saved
    rewrite(directory, lambda description, _: description["populations"][0].update({key: value}))
    with pytest.raises(StorageError, match=message):
        load_network(directory)


def test_a_part_without_its_array(tmp_path):
    original = with_parts(network_of(2), 2)
    save_network(original, tmp_path / "network")
    name = "populations.layer0.multiplicity.further"
    rewrite(tmp_path / "network", lambda _, arrays: arrays.pop(name))
    with pytest.raises(StorageError, match=name):
        load_network(tmp_path / "network")


@pytest.mark.parametrize("kind", KINDS)
def test_a_lowered_network_of_every_kind_runs_as_before(tmp_path, kind):
    _, original, samples = lowered(kind, steps=8)
    save_network(original, tmp_path / "network")
    found = load_network(tmp_path / "network")
    assert_same(found, original)
    names = [p.name for p in original.populations]
    one, two = (software.run(n, samples, membranes=names) for n in (original, found))
    for name in names:
        assert_same_array(one.membranes[name], two.membranes[name])


def test_the_same_network_is_the_same_files(tmp_path):
    for name in ("a", "b"):
        save_network(network_of(3), tmp_path / name)
    for file in (ARRAYS_FILE, NETWORK_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_description_is_readable(saved):
    network, directory = saved
    description = json.loads((directory / NETWORK_FILE).read_text())
    assert description["schema"] == 1 and description["timestep"] == network.timestep
    assert description["populations"][0] == {
        "name": "layer0",
        "size": network.populations[0].size,
        "modes": network.populations[0].cell.n_modes,
        "latency": 1,
    }


def test_a_network_without_the_newer_parts_is_stored_as_before(saved):
    network, directory = saved
    description = json.loads((directory / NETWORK_FILE).read_text())
    assert set(description) == {
        "schema", "timestep", "steps", "source", "populations", "projections", "readout", "origin",
        "cells", "arrays_sha256",
    }
    assert set(description["source"]) == {"name", "encoding", "channels", "bits"}
    for entry in description["populations"]:
        assert set(entry) == {"name", "size", "modes", "latency"}
    for entry in description["projections"]:
        assert set(entry) == {"source", "target", "delay"}
    arrays, _ = read_arrays(directory / ARRAYS_FILE, "arrays")
    expected = {f"projections.{p.source}.{p.target}.weights" for p in network.projections}
    for p in network.populations:
        expected |= {
            f"populations.{p.name}.{leaf}" for leaf in LEAVES if getattr(p.cell, leaf) is not None
        }
    assert set(arrays) == expected


def test_the_newer_parts_have_keys_and_arrays_of_their_own(tmp_path):
    save_network(gated_network_of(1, "gsu", encoding="token"), tmp_path / "gated")
    description = json.loads((tmp_path / "gated" / NETWORK_FILE).read_text())
    assert description["source"]["symbols"] == 5
    first, second = description["populations"][:2]
    assert "branches" not in first and second["branches"] == "gsu"
    gates = [e for e in description["projections"] if e.get("receptor") == "gate0"]
    assert gates and all(e["graded"] is True for e in gates)
    values = [e for e in description["projections"] if e.get("receptor") == "value0"]
    assert values and all("graded" not in e for e in values)
    arrays, _ = read_arrays(tmp_path / "gated" / ARRAYS_FILE, "arrays")
    assert {f"populations.layer1.branches.{leaf}" for leaf in BRANCH_LEAVES} <= set(arrays)
    assert "projections.layer0.layer1.gate0.weights" in arrays
    save_network(leaky_network_of(1), tmp_path / "leaky")
    description = json.loads((tmp_path / "leaky" / NETWORK_FILE).read_text())
    assert description["populations"][0]["cell"] == "leaky" and description["cells"] == "lif"
    assert "modes" not in description["populations"][0]
    assert "cell" not in description["populations"][-1]


def test_the_bytes_of_a_network_without_the_newer_parts(tmp_path):
    """Job manifests and results hold them: a network that was exported once keeps its SHA-256."""
    layer = StateSpaceCell(
        tau=[[10.0, 0.5]], omega=[[0.25, -1.0]], c_re=[[1.0, -2.0]], c_im=[[0.5, 0.0]], d=[3.0],
        theta=[0.125], bias=[-0.75],
    )
    readout = StateSpaceCell(
        tau=[[np.inf]] * 2, c_re=[[1.0]] * 2, d=[0.0] * 2, theta=[np.inf] * 2, bias=[0.5, 0.25]
    )
    network = Network(
        timestep=0.5,
        steps=4,
        source=Source("input", "bits", 1, 2),
        populations=(Population("layer0", layer, 1), Population("readout", readout, 2)),
        projections=(
            Projection("input", "layer0", [[1.0], [2.0]], 1),
            Projection("layer0", "readout", [[0.5, -0.5]], 1),
        ),
        readout=Readout("readout", "mean"),
        origin={"task": {"name": "smnist"}},
    )
    save_network(network, tmp_path / "network")
    digests = [sha256((tmp_path / "network" / name).read_bytes()) for name in (
        ARRAYS_FILE, NETWORK_FILE,
    )]
    assert digests == [
        "24d5c3313d5a9b0b84695511292633eb37481cbbdfd716742c0ac2ea2292f6bf",
        "07242bf8dae653a15dea16ca757967eee3b3c2a4f622457a11e503e4a7236b64",
    ]


@pytest.mark.parametrize(("change", "error", "message"), [
    (lambda description, _: description["populations"][1].update(branches="glu"),
     CellParameterError, "shift or gain is set"),
    (lambda description, _: description["projections"][2].update(receptor="gate7"),
     StorageError, "gate7"),
    (lambda _, arrays: arrays.pop("populations.layer1.branches.gain"),
     StorageError, r"populations\.layer1\.branches\.gain"),
    (lambda description, _: description["source"].update(symbols=0),
     NetworkError, "0 symbols, 1 channels"),
    (lambda description, _: description["projections"][-1].update(graded=False),
     NetworkError, "'stream' never spikes"),
], ids=["kind", "receptor", "constants", "symbols", "graded"])
def test_newer_parts_are_validated(tmp_path, change, error, message):
    directory = tmp_path / "network"
    save_network(gated_network_of(1, "gsu", encoding="token"), directory)
    rewrite(directory, change)
    with pytest.raises(error, match=message):
        load_network(directory)


def test_a_directory_that_exists(saved):
    network, directory = saved
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    with pytest.raises(FileError, match=r"the network directory .*exists; nothing was written"):
        save_network(network, directory)
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_description(saved, share):
    path = saved[1] / NETWORK_FILE
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StorageError, match=r"network\.json was truncated or altered"):
        load_network(saved[1])


@pytest.mark.parametrize("content", [b"3", b"[]", b"null", b'"network"', b"{}", b"\xff\xfe"])
def test_a_description_that_is_none(saved, content):
    (saved[1] / NETWORK_FILE).write_bytes(content)
    with pytest.raises(StorageError, match=r"network\.json was truncated or altered"):
        load_network(saved[1])


@pytest.mark.parametrize(("key", "value"), [
    ("timestep", 2.0), ("steps", 13), ("origin", {}), ("populations", []), ("extra", 1),
])
def test_an_altered_description(saved, key, value):
    path = saved[1] / NETWORK_FILE
    description = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps(description))
    with pytest.raises(StorageError, match=r"was altered: it is not the description that arrays"):
        load_network(saved[1])


@pytest.mark.parametrize("schema", [0, 3, "1", True, None])
def test_another_schema(saved, schema):
    path = saved[1] / NETWORK_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    said = f"has network schema {schema!r}; this version reads 1 and 2"
    with pytest.raises(StorageError, match=said):
        load_network(saved[1])


@pytest.mark.parametrize("cut", [1, 500])
def test_truncated_arrays(saved, cut):
    path = saved[1] / ARRAYS_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(FileError, match=r"network arrays .*arrays\.safetensors was truncated"):
        load_network(saved[1])


def test_altered_arrays(saved):
    path = saved[1] / ARRAYS_FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FileError, match="was truncated or altered: its SHA-256 is"):
        load_network(saved[1])


@pytest.mark.parametrize("name", [NETWORK_FILE, ARRAYS_FILE])
def test_a_missing_file(saved, name):
    (saved[1] / name).unlink()
    with pytest.raises(FileError, match=rf"cannot read network.*{name}: No such file"):
        load_network(saved[1])


def test_what_another_program_wrote_is_validated(saved):
    """Hashes that fit do not excuse content that does not."""

    def timestep(description, _):
        description["timestep"] = -1.0

    rewrite(saved[1], timestep)
    with pytest.raises(NetworkError, match=r"timestep is -1\.0 ms"):
        load_network(saved[1])


@pytest.mark.parametrize("leaf", ["tau", "d"])
def test_a_parameter_that_is_not_finite(saved, leaf):
    def spoil(_, arrays):
        spoiled = np.array(arrays[f"populations.layer0.{leaf}"])
        spoiled.flat[0] = np.nan
        arrays[f"populations.layer0.{leaf}"] = spoiled

    network, directory = saved
    assert network.populations[0].cell.n_modes > 0
    rewrite(directory, spoil)
    with pytest.raises(CellParameterError, match=rf"{leaf}\[0\].* is nan"):
        load_network(directory)


@pytest.mark.parametrize("name", [
    "populations.layer0.tau", "populations.readout.bias", "projections.input.layer0.weights",
])
def test_an_array_that_is_missing(saved, name):
    rewrite(saved[1], lambda _, arrays: arrays.pop(name))
    with pytest.raises(StorageError) as caught:
        load_network(saved[1])
    assert name in str(caught.value) and str(saved[1]) in str(caught.value)


@pytest.mark.parametrize("key", ["steps", "source", "populations", "projections", "readout"])
def test_a_key_that_is_missing(saved, key):
    rewrite(saved[1], lambda description, _: description.pop(key))
    with pytest.raises(StorageError) as caught:
        load_network(saved[1])
    assert key in str(caught.value) and str(saved[1]) in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [
    ("timestep", "1.0"), ("steps", None), ("populations", {"layer0": 1}), ("source", {"name": 1}),
])
def test_a_key_of_the_wrong_type(saved, key, value):
    rewrite(saved[1], lambda description, _: description.update({key: value}))
    with pytest.raises(StorageError, match="hold one of the wrong type"):
        load_network(saved[1])


def test_errors_are_the_projects_own():
    assert issubclass(StorageError, SnnSsmError)


# --- schema 2: lags and single synapses -------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), cells=st.sampled_from(["native", "lif"]))
def test_graphs_of_any_kind_there_and_back(tmp_path_factory, seed, cells):
    directory = tmp_path_factory.mktemp("storage") / "network"
    original = looped_network_of(seed, cells=cells)
    save_network(original, directory)
    found = load_network(directory)
    assert_same(found, original)
    assert [found.key(p) for p in found.projections] == [
        original.key(p) for p in original.projections
    ]


def _sparse():
    """A network with a projection onto itself of 3 synapses, with delays of their own."""
    network = network_of(4)
    layer = network.population("layer0")
    assert layer.size > 1
    shape = (layer.size, layer.size)
    mask, delay = np.zeros(shape, bool), np.ones(shape, int)
    mask[0, :2] = mask[1, 0] = True
    delay[0, 1] = 7
    own = Projection("layer0", "layer0", np.full(shape, 0.5), delay, mask=mask)
    return dataclasses.replace(network, projections=(*network.projections, own))


@pytest.fixture
def sparse(tmp_path):
    save_network(_sparse(), tmp_path / "network")
    return tmp_path / "network"


OWN = "projections.layer0.layer0"


def test_single_synapses_are_stored_one_by_one(sparse):
    description = json.loads((sparse / NETWORK_FILE).read_text())
    assert description["schema"] == 2
    *others, own = description["projections"]
    assert own == {"source": "layer0", "target": "layer0", "synapses": 3}
    assert all(set(entry) == {"source", "target", "delay"} for entry in others)
    arrays, _ = read_arrays(sparse / ARRAYS_FILE, "arrays")
    found = {leaf: arrays[f"{OWN}.{leaf}"].tolist() for leaf in (
        "sources", "targets", "weights", "delays",
    )}
    assert found == {
        "sources": [0, 0, 1], "targets": [0, 1, 0], "weights": [0.5] * 3, "delays": [1, 7, 1],
    }


def test_a_file_of_schema_1_has_no_loop(sparse):
    rewrite(sparse, lambda description, _: description.update(schema=1))
    with pytest.raises(StorageError, match="schema 1 has no lag, no single synapse and no part"):
        load_network(sparse)


def _set(name, value):
    return lambda _, arrays: arrays.update({f"{OWN}.{name}": np.array(value)})


@pytest.mark.parametrize(("change", "words"), [
    (_set("sources", [0, 0, 10**6]), "invalid entry in coordinates"),
    (_set("targets", [0, -1, 0]), "invalid entry in coordinates"),
    (_set("targets", [1, 0, 0]), "has not 3 synapses in order of their ends"),
    (_set("targets", [0, 0, 0]), "has not 3 synapses in order of their ends"),
    (_set("targets", [0, 1]), "has not 3 values a synapse"),
    (_set("targets", [0.0, 1.0, 0.0]), "has an array of float64"),
    (_set("delays", [[1, 7, 1]]), r"has an array of int64 and shape \(1, 3\)"),
    (_set("weights", [0.5]), "has not 3 values a synapse"),
    (_set("delays", [7]), "has not 3 values a synapse"),
    (lambda d, _: d["projections"][-1].update(synapses=2), "has not 2 values a synapse"),
    (lambda d, _: d["projections"][-1].update(synapses=-1), "synapses is -1"),
    (lambda _, arrays: arrays.pop(f"{OWN}.delays"), f"{OWN}.delays"),
])
def test_synapses_that_do_not_fit(sparse, change, words):
    rewrite(sparse, change)
    with pytest.raises(StorageError, match=words):
        load_network(sparse)


def test_delays_of_no_step_are_refused(sparse):
    rewrite(sparse, _set("delays", [1, 0, 1]))
    with pytest.raises(NetworkError, match="delay 0; expected at least 1 step"):
        load_network(sparse)


def test_a_few_synapses_of_many_neurons_take_no_more_memory_than_there_is(sparse, monkeypatch):
    monkeypatch.setattr("export.description.storage.memory", lambda: 17 * 2)
    with pytest.raises(StorageError, match="takes more memory than there is"):
        load_network(sparse)
