"""Files of strangers: whatever stands in one, a network comes out or a typed refusal."""

import io
import os

import h5py
import nir
import numpy as np
import pytest
from support.nir_mutants import files, of_bytes, of_content
from support.nir_senders import of_two_layers
from support.random_networks import network_of

from export.interchange import InterchangeError, Options, load_nir, save_nir, to_nir
from export.interchange import files as files_module
from pynn_models.errors import SnnSsmError
from snn_ssm.files import FileError

OPTIONS = Options("snntorch", steps=4, encoding="spikes")
ORIGINALS = files()


def outcome(path, data, options):
    path.write_bytes(data)
    try:
        load_nir(path, options)
    except SnnSsmError as error:
        return type(error).__name__
    return "read"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("mutate", "among"), [
    (of_bytes, {"read", "InterchangeError"}), (of_content, {"InterchangeError"}),
])  # fmt: skip
def test_mutants(mutate, among, tmp_path):
    rng, seen = np.random.default_rng(0), set()
    for i in range(8):
        at = i % len(ORIGINALS)
        data = mutate(rng, ORIGINALS[at])
        seen.add(outcome(tmp_path / "x.nir", data, OPTIONS if at > 1 else None))  # 0, 1: ours
    assert among <= seen


def written(tmp_path, change):
    """A good file with a change in HDF5."""
    file = io.BytesIO()
    nir.write(file, of_two_layers("snntorch", "Leaky")[0])
    with h5py.File(file, "r+") as graph:
        change(graph, tmp_path)
    path = tmp_path / "x.nir"
    path.write_bytes(file.getvalue())
    return path


def soft_link(graph, _):
    del graph["node/nodes/1/tau"]
    graph["node/nodes/1/tau"] = h5py.SoftLink("/version")


def external_link(graph, path):
    del graph["node/nodes/1"]
    graph["node/nodes/1"] = h5py.ExternalLink(str(path / "other.h5"), "/x")


def external_values(graph, path):
    (path / "raw").write_bytes(b"\0" * 96)
    del graph["node/nodes/1/tau"]
    graph["node/nodes/1"].create_dataset("tau", (12,), "f8", external=[(str(path / "raw"), 0, 96)])


def virtual_values(graph, path):
    layout = h5py.VirtualLayout((12,), "f8")
    layout[:] = h5py.VirtualSource(str(path / "other.h5"), "x", (12,))
    del graph["node/nodes/1/tau"]
    graph["node/nodes/1"].create_virtual_dataset("tau", layout)


def huge(graph, _):
    """A terabyte, of which nothing is stored."""
    del graph["node/nodes/1/tau"]
    graph["node/nodes/1"].create_dataset("tau", (2**37,), "f8", chunks=(2**20,))


def cycle(graph, _):
    graph["node/nodes/1/metadata/again"] = graph["node"]


def compound(graph, _):
    graph["node/nodes/1/metadata/x"] = np.zeros(3, [("a", "f8"), ("b", "i4")])


def many_texts(graph, _):
    texts = np.full((300, 2), "x" * 4000, object)
    del graph["node/edges"]
    graph["node"].create_dataset("edges", data=texts, dtype=h5py.string_dtype())


def other_type(graph, _):
    del graph["node/nodes/1/type"]
    graph["node/nodes/1/type"] = "Resonator"


def check_flag(graph, _):
    graph["node/type_check"] = True


def nothing(graph, _):
    del graph["node"]


def a_node(graph, _):
    graph.move("node/nodes/1", "alone")
    del graph["node"]
    graph.move("alone", "node")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (soft_link, "node/nodes/1/tau is a link to elsewhere"),
        (external_link, "node/nodes/1 is a link to elsewhere"),
        (external_values, "tau has its values in other files"),
        (virtual_values, "tau has its values in other files"),
        (huge, "tau and what stands before it take more memory than there is"),
        (cycle, "again stands in the file twice"),
        (compound, "metadata/x is no array of numbers or texts"),
        (other_type, "is no NIR graph .AssertionError"),
        (check_flag, "is no NIR graph"),
        (nothing, "is no NIR graph .KeyError"),
        (a_node, "is no NIR graph|holds a LIF and no graph"),
    ],
)
def test_files_that_are_no_graph(tmp_path, change, message):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros(12)
    if change in (cycle, compound):
        inner = change

        def change(graph, path):
            graph["node/nodes/1"].create_group("metadata")
            inner(graph, path)

    with pytest.raises(InterchangeError, match=message):
        load_nir(written(tmp_path, change), OPTIONS)


def test_texts_that_stand_in_the_file_once(tmp_path, monkeypatch):
    path = written(tmp_path, many_texts)
    monkeypatch.setattr(files_module, "memory", lambda: 2**21)
    with pytest.raises(InterchangeError, match="edges and what stands before it take more memory"):
        load_nir(path, OPTIONS)


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"not HDF5 at all" * 100])
def test_no_hdf5(tmp_path, data):
    (tmp_path / "x.nir").write_bytes(data)
    with pytest.raises(InterchangeError, match=r"x.nir is no NIR graph .*\. Write it with"):
        load_nir(tmp_path / "x.nir")


def test_no_file(tmp_path):
    with pytest.raises(FileError, match="cannot read NIR graph"):
        load_nir(tmp_path / "x.nir")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="no regular file"):
        load_nir(tmp_path / "pipe")


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "x.nir"
    save_nir(network_of(1), path)
    before = path.read_bytes()

    def fails(file, graph):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(nir, "write", fails)
    with pytest.raises(OSError, match="disk full"):
        save_nir(network_of(2), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with pytest.raises(FileError, match="cannot write"):
        save_nir(network_of(2), tmp_path / "none" / "x.nir")


def test_nir_itself_takes_our_graphs_as_they_are(tmp_path):
    """With its own checks of types, which add nodes to a graph that lacks an input or output."""
    network = network_of(3)
    save_nir(network, tmp_path / "x.nir")
    graph = nir.read(tmp_path / "x.nir", type_check=True)
    assert graph.nodes.keys() == to_nir(network).nodes.keys()
