"""A plain PyNN script, run where this package cannot be imported, spikes as our own NEST does."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from support.lif_networks import lif_network
from support.lif_networks import samples_of as lif_samples
from support.nest_simulator import IN_NEST
from support.quantised_networks import quantised
from support.random_networks import checkpoint_of, samples_of

from export.command.arguments import main
from export.lowering.network import lower
from export.pynn.built import run
from export.pynn.script import ScriptError, write_script
from export.samples.inputs import QuantiserWarning, encode
from export.samples.readout import logits
from snn_ssm.checkpoint import save_checkpoint

pytestmark = IN_NEST
STOCK = checkpoint_of(4, 30, cells="stock", mode_init="s4d-real", modes=1, depth=3, inputs=2)
# Nothing of ours can be imported there; -I keeps the working directory and PYTHONPATH out.
ELSEWHERE = """
import runpy, sys, warnings
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("snn_ssm", "export", "pynn_models"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Absent())
warnings.simplefilter("ignore")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_script(folder, simulator, samples, *arguments):
    np.savez(folder / "samples.npz", inputs=samples)
    command = [
        sys.executable, "-I", "-c", ELSEWHERE, folder / "net.py", simulator,
        folder / "samples.npz", *arguments,
    ]
    return subprocess.run(
        [str(c) for c in command], cwd=folder, capture_output=True, text=True, timeout=300
    )


def spikes_of(folder, simulator, network, samples):
    """What the script writes: spikes by layer, and scores."""
    write_script(network, folder / "net.py")
    done = run_script(folder, simulator, samples, "--out", folder / "out.npz")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) >= len(samples)
    with np.load(folder / "out.npz") as found:
        return dict(found)


def assert_as_ours(found, network, samples):
    """Every spike and score is ours in NEST; returns the number of spikes."""
    ours = run("nest", network, samples)
    for layer, spikes in ours.spikes.items():
        assert (found[layer] == spikes).all(), layer
    np.testing.assert_allclose(found["scores"], logits(network, samples, ours), rtol=1e-12)
    return sum(int(s.sum()) for s in ours.spikes.values())


def networks(encodings):
    """(network, samples): stock with thresholds of both signs; LIF of each encoding, biases."""
    network = lower(STOCK, delay=2)
    theta = np.concatenate([p.cell.theta for p in network.layers])
    assert (theta < 0).any() and (theta > 0).any()
    yield network, samples_of(STOCK, 2)
    for encoding in encodings:
        network = lif_network(2, encoding, timestep=0.5, steps=30)
        yield network, lif_samples(network, 2)


def test_in_nest_it_spikes_as_ours(tmp_path):
    for number, (network, samples) in enumerate(networks(["bits"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = spikes_of(folder, "nest", network, samples)
        assert assert_as_ours(found, network, samples) > 100


@pytest.mark.simulators
@pytest.mark.parametrize("simulator", ["brian2", "neuron"])
def test_on_other_simulators_it_spikes_as_ours(tmp_path, simulator):
    for number, (network, samples) in enumerate(networks(["bits", "token", "spikes"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = spikes_of(folder, simulator, network, samples)
        assert assert_as_ours(found, network, samples) > 100


@pytest.mark.parametrize("encoding", ["bits", "token", "spikes"])
def test_its_sources_are_ours(tmp_path, encoding):
    network = lif_network(1, encoding)
    write_script(network, tmp_path / "net.py")
    sample = lif_samples(network, 1)
    with np.load(tmp_path / "net.npz") as numbers:
        sources = runpy.run_path(str(tmp_path / "net.py"))["sources"](numbers, sample[0])
    assert (sources == encode(network, sample)[0]).all()


def test_the_script_imports_nothing_of_ours_and_refuses_other_samples(tmp_path):
    network = lif_network(1)
    write_script(network, tmp_path / "net.py")
    text = (tmp_path / "net.py").read_text()
    assert "python net.py SIMULATOR" in text
    assert not {"snn_ssm", "pynn_models", "export"} & set(text.replace(".", " ").split())
    done = run_script(tmp_path, "nest", lif_samples(network, 1)[:, :, :5])
    assert done.returncode == 1
    assert "samples of shape (1, 2, 5); expected (B, channels, steps) = (B, 2, 40)" in done.stderr


@pytest.mark.parametrize("encoding", ["bits", "token", "spikes"])
def test_values_that_the_input_cannot_carry_are_not_cut_to_some_that_it_can(tmp_path, encoding):
    network = lif_network(1, encoding)
    most = network.source.kind.values(network.source).limit - 1
    write_script(network, tmp_path / "net.py")
    with np.load(tmp_path / "net.npz") as numbers:
        check = runpy.run_path(str(tmp_path / "net.py"))["check"]
        samples = lif_samples(network, 2).astype(float)
        check(numbers, samples)
        check(numbers, np.full_like(samples, most))
        for value in (-1.0, 0.5, most + 1.0, np.nan):
            samples[1, 0, 3] = value
            with pytest.raises(SystemExit, match=rf"{value} at \[1, 0, 3\]; .* 0 to {most}: "):
                check(numbers, samples)


def test_the_command_writes_it_and_overwrites_nothing(tmp_path, capsys):
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", STOCK)
    arguments = ["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]
    script = ["--script", str(tmp_path / "net.py")]
    assert main([*arguments, *script]) == 0
    assert {"net.py", "net.npz", "network"} <= {p.name for p in tmp_path.iterdir()}
    (tmp_path / "net.py").unlink()
    capsys.readouterr()
    assert main([*arguments[:2], str(tmp_path / "again"), *script]) == 2
    assert "net.npz exists; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_what_cannot_be_a_script(tmp_path):
    with pytest.raises(ScriptError, match=r"of native cells, which PyNN lacks; .*snn-ssm job"):
        write_script(lower(checkpoint_of()), tmp_path / "net.py")
    with pytest.raises(ScriptError, match="a current does not enter .* --data, the training sam"):
        write_script(lif_network(encoding="current"), tmp_path / "net.py")
    with pytest.raises(ScriptError, match=r"net.txt; expected a name that ends in .py"):
        write_script(lif_network(), tmp_path / "net.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_quantised_input_is_quantised_there(tmp_path):
    _, network, samples = quantised("stock", 3, 7, steps=30, depth=3)
    found = spikes_of(tmp_path, "nest", network, samples)
    assert assert_as_ours(found, network, samples) > 100
    beyond = samples.copy()
    beyond[0, 0, :3] = 1e3, -1e3, 0
    done = run_script(tmp_path, "nest", beyond, "--out", tmp_path / "out.npz")
    assert done.returncode == 0 and "2 of 180 values are beyond the range" in done.stderr
    with pytest.warns(QuantiserWarning), np.load(tmp_path / "out.npz") as found:
        assert_as_ours(dict(found), network, beyond)
    beyond[0, 0, 0] = np.nan
    done = run_script(tmp_path, "nest", beyond)
    assert done.returncode == 1 and "values that are not finite; expected numbers" in done.stderr
