"""``snn-ssm nir export`` and ``snn-ssm nir import``."""

import json

import nir
import numpy as np
import pytest
from support.gated_networks import lowered
from support.nir_senders import of_two_layers
from support.random_networks import network_of

from export import software
from export.command.arguments import main
from export.description.storage import digest, load_network, save_network
from export.samples.multiplicity import counted
from export.samples.readout import logits


def run(*arguments):
    return main([str(a) for a in arguments])


@pytest.fixture
def network(tmp_path):
    save_network(network_of(0), tmp_path / "network")
    return tmp_path / "network"


def test_there_and_back(network, tmp_path, capsys):
    file, back = tmp_path / "x.nir", tmp_path / "back"
    assert run("nir", "export", network, file) == 0
    assert f"{file}: {file.stat().st_size} bytes" in capsys.readouterr().out
    assert run("nir", "import", file, back, "--json", tmp_path / "x.json") == 0
    assert digest(load_network(back)) == digest(load_network(network))
    assert "layer0 -> layer1" in capsys.readouterr().out
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["populations"] == ["layer0", "layer1", "readout"]


def test_integer_spikes_go_as_binary_ones(tmp_path, capsys):
    """Unrolled (IE-LIF): no neuron sends more than one spike, together they are the counts."""
    _, whole, samples = lowered("integer")
    save_network(whole, tmp_path / "network")
    file, back = tmp_path / "x.nir", tmp_path / "back"
    assert run("nir", "export", tmp_path / "network", file) == 2
    assert "write it with --units" in capsys.readouterr().err and not file.exists()
    assert run("nir", "export", tmp_path / "network", file, "--units") == 0
    assert run("nir", "import", file, back) == 0
    units = load_network(back)
    expected, found = software.run(whole, samples), software.run(units, samples)
    assert all(spikes.dtype == bool for spikes in found.spikes.values())
    assert max(spikes.max() for spikes in expected.spikes.values()) > 1
    together = counted(whole, found)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(together.spikes[name], spikes)
    answers = (logits(whole, samples, expected), logits(units, samples, found))
    assert np.array_equal(*answers)


def test_nothing_is_overwritten_unless_forced(network, tmp_path, capsys):
    file, back = tmp_path / "x.nir", tmp_path / "back"
    assert run("nir", "export", network, file) == 0
    assert run("nir", "import", file, back) == 0
    before = file.read_bytes()
    assert run("nir", "export", network, file) == 2
    assert run("nir", "import", file, back) == 2
    said = capsys.readouterr().err
    assert f"{file} exists; nothing was written" in said and f"{back} exists" in said
    assert file.read_bytes() == before
    assert run("nir", "export", network, file, "--force") == 0
    assert run("nir", "import", file, back, "--force") == 0


def test_a_graph_of_others_is_run_on_samples_of_ones_own(tmp_path, capsys):
    graph, reference = of_two_layers("norse", "LIFCell", seed=2)
    nir.write(tmp_path / "x.nir", graph)
    samples = (np.random.default_rng(0).random((3, 8, 30)) < 0.4).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", inputs=samples, labels=np.arange(3))
    network = tmp_path / "network"
    assert run("nir", "import", tmp_path / "x.nir", network) == 2
    assert "Give --semantics: snntorch," in capsys.readouterr().err
    assert not network.exists()
    assert run(
        "nir", "import", tmp_path / "x.nir", network, "--semantics", "norse", "--steps", 30,
        "--input", "spikes", "--timestep", 0.5,
    ) == 0  # fmt: skip
    assert load_network(network).timestep == 0.5
    said = capsys.readouterr().out
    assert "1_current -> 1 (graded)" in said
    assert run("run", network, "--backend", "software", "--data", tmp_path / "mine.npz") == 0
    assert "3 samples" in capsys.readouterr().out
    recording = software.run(load_network(network), samples)
    first, second = reference(samples)
    assert np.array_equal(recording.spikes["1"], first) and first.sum() > 50
    assert np.array_equal(recording.spikes["3"], second)
