"""NEST over MPI: several processes compute what one does, one tells of it, an error ends all.

Needs a NEST that was built with MPI, mpi4py and mpiexec (docs/how-to/scale.md): 'make test-mpi'.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.files import ROOT
from support.random_networks import checkpoint_of, samples_of

from export.description.storage import save_network
from export.lowering.network import lower

pytestmark = [
    pytest.mark.mpi, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
]

CHECKPOINT = checkpoint_of(5, steps=20)


def together(count, *arguments, status=0):
    """What so many processes of Python print, out and err; their exit status is checked."""
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    environment |= {"PYNEST_QUIET": "1", "OMP_NUM_THREADS": "1"}
    command = ["mpiexec", "-n", str(count), sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr[-3000:]
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def alone():
    """Every kind of network, run in this process."""
    from support.mpi_worker import outcomes

    return outcomes()


@pytest.fixture
def files(tmp_path):
    """A network and its samples."""
    save_network(lower(CHECKPOINT), tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=samples_of(CHECKPOINT, 5), labels=np.arange(5) % 3)
    return tmp_path


def snn_ssm(command, files, *more):
    data = ["--data", files / "samples.npz"]
    return ["-m", "snn_ssm", command, files / "network", *data, *more]


@pytest.mark.parametrize(("count", "threads"), [(2, 1), (3, 1), (2, 2)])
def test_every_spike_and_membrane_is_that_of_one_process(tmp_path, alone, count, threads):
    """Also of a network that comes after others in the same processes."""
    together(count, "-m", "support.mpi_worker", tmp_path / "found.npz", threads)
    with np.load(tmp_path / "found.npz") as found:
        assert set(found.files) == set(alone) and len(alone) > 50
        for name, expected in alone.items():
            assert found[name].shape == expected.shape, name
            assert (found[name] == expected).all(), name
    spikes = {name: values.sum() for name, values in alone.items() if "/spikes/" in name}
    for kind in {name.split("/")[0] for name in spikes}:
        assert sum(n for name, n in spikes.items() if name.startswith(f"{kind}/")) > 50, kind


def test_the_first_process_alone_writes_and_prints(files):
    run = ["--backend", "nest", "--json", files / "run.json", "--out", files / "spikes"]
    out, err = together(2, *snn_ssm("run", files, *run))
    assert out.count("from spike counts") == 1 and err == ""
    assert json.loads((files / "run.json").read_text())["samples"] == 5
    verify = ["--backends", "software,nest", "--threads", 2]
    out, err = together(2, *snn_ssm("verify", files, *verify))
    assert out.count("E3 holds") == 1 and err == ""
    predict = ["--backend", "nest", "--out", files / "found.csv"]
    together(2, *snn_ssm("predict", files, *predict))
    together(1, *snn_ssm("predict", files, "--out", files / "expected.csv"))
    assert (files / "found.csv").read_text() == (files / "expected.csv").read_text()


def test_parts_of_an_array_job_of_several_processes_each(files):
    for i in (1, 2):
        part = ["--backend", "nest", "--chunk", f"{i}/2", "--out", files / "parts"]
        out, _ = together(2, *snn_ssm("run", files, *part))
        assert out.count(f"part {i}/2") == 1
    out, _ = together(1, *snn_ssm("verify", files, "--recording", files / "parts"))
    assert "E3 holds" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backend", "software"], "mpiexec started 2 processes, and the backend software runs"),
        (["--backend", "nest", "--processes", 2], "expected 1. Leave it out"),
        (["--backend", "nest", "--samples", 9], "--samples is 9, but there are 5"),
        (["--nothing"], "unrecognized arguments: --nothing"),
    ],
)
def test_of_an_error_that_all_have_one_tells(files, more, message):
    _, err = together(2, *snn_ssm("run", files, *more), status=2)
    assert err.count(message) == 1 and "Traceback" not in err


def test_an_error_of_one_process_ends_all(files):
    """Its message is told, though the first one waits for it within NEST."""
    program = f"""
import sys
import export.pynn.nest as nest
from export.command.arguments import main
from export.pynn.backend import BackendError
from pynn_models.ranks import world
if world().rank == 1:
    def run(self, sim, duration):
        raise BackendError("process 1 cannot go on; expected that it can. Try again.")
    nest.Nest.run = run
sys.exit(main({[str(a) for a in snn_ssm("run", files, "--backend", "nest")[2:]]}))
"""
    out, err = together(2, "-c", program, status=2)
    assert err.count("process 1 cannot go on") == 1 and out == ""
