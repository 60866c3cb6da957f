"""Scripts as others write them (``examples/board``), on an emulated board, and what they show."""

import importlib.util
import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from support import forked
from support.files import ROOT

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")
if importlib.util.find_spec("spynnaker") is None:
    pytest.skip("sPyNNaker is not installed", allow_module_level=True)

from pynn_models.spinnaker.board import emulated_board

SCRIPTS = ROOT / "examples" / "board"
# One in every run of the tests, the others with 'make test-slow'.
QUICK = ("associative_memory,spiNNaker",)
SLOW = (
    "live_spikes", "synfire_chain", "balanced_network", "vogels_abbott", "stdp_pairing",
    "stdp_pairing,0.1", "stepped_currents", "poisson_drive", "long_delays", "structural_plasticity",
    "neuromodulation",
)  # fmt: skip


def results_of(calls, directory, settings=""):
    """What each script printed last, and the board they ran on; in the end no core had failed."""
    with emulated_board() as board:
        (directory / "spynnaker.cfg").write_text(board.configuration + settings)
        command = [sys.executable, str(ROOT / "tests" / "support" / "board_scripts.py")]
        for call in calls:
            name, *arguments = call.split(",")
            command.append(",".join([str(SCRIPTS / f"{name}.py"), *arguments]))
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        done = forked.run(command, cwd=directory, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert board.errors == []
    found = [line[7:] for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return dict(zip(calls, map(json.loads, found), strict=True)), board


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return results_of(QUICK, tmp_path_factory.mktemp("quick"))[0]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return results_of(SLOW, tmp_path_factory.mktemp("scripts"))[0]


def test_every_script_is_run_and_stands_in_the_documentation():
    names = {path.stem for path in SCRIPTS.glob("*.py")}
    assert names == {call.split(",")[0] for call in (*QUICK, *SLOW)}
    page = (ROOT / "docs" / "how-to" / "board.md").read_text(encoding="utf-8")
    assert {name for name in names if f"| `{name}.py` |" in page} == names


@pytest.mark.slow
def test_live_spikes_go_in_and_come_out(found):
    result = found["live_spikes"]
    assert result["received"] == [[int(t), n] for t, n in result["recorded"]]
    assert {neuron for _, neuron in result["received"]} == set(range(10))
    times = [tick for tick, _ in result["received"]]
    assert min(times) > 150 and max(times) < 2000  # sent 0.2 s after the start


def test_an_associative_memory_recalls_as_in_nest(quick, tmp_path):
    pytest.importorskip("pyNN.nest", reason="NEST is not installed")
    result = quick["associative_memory,spiNNaker"]
    assert result["bits_of_cues"] == [[0, 1], [2, 3], [4, 5]]
    assert result["cues_of_bits"] == [[0], [0], [1], [1], [2], [2]]
    command = [sys.executable, str(SCRIPTS / "associative_memory.py"), "nest"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == result


@pytest.mark.slow
def test_a_synfire_chain_runs_round_its_ring(found):
    times = found["synfire_chain"]["times"]
    order = sorted((t, pool) for pool, each in enumerate(times) for t in each)
    assert order[0] == (12.0, 0) and len(order) > 35
    for (t, pool), (following, next_pool) in pairwise(order):
        assert following - t == 5 and next_pool == (pool + 1) % len(times)


@pytest.mark.slow
def test_a_balanced_network_fires_irregularly_at_a_low_rate(found):
    result = found["balanced_network"]
    assert 2 < result["rate"] < 40 and result["irregularity"] > 0.25


@pytest.mark.slow
def test_the_vogels_abbott_benchmark_stays_active(found):
    assert 1 < found["vogels_abbott"]["rate_at_the_end"] < 100


@pytest.mark.slow
@pytest.mark.parametrize("call", ["stdp_pairing", "stdp_pairing,0.1"])
def test_pairings_change_weights_by_their_order_and_lag(found, call):
    result = found[call]
    weights = np.array(result["weights"])
    assert (weights[:3] < 1).all() and (weights[3:] > 1).all()
    assert (np.diff(weights[:3]) < 0).all() and (np.diff(weights[3:]) < 0).all()  # less from afar


@pytest.mark.slow
def test_more_current_makes_more_spikes(found):
    result = found["stepped_currents"]
    assert result["counts"] == [0, 0, 2, 4, 7, 0] and result["rest"] == -65


@pytest.mark.slow
def test_poisson_sources_keep_their_rates_over_runs_and_a_reset(found):
    (first, second), (again, nothing) = found["poisson_drive"]["counts"]
    for count, rate in ((first, 20), (second, 80), (again, 80)):
        expected = 50 * rate * 0.2
        assert abs(count - expected) < 4 * expected**0.5
    assert nothing == 0 and 0.8 * (first + second) < found["poisson_drive"]["followed"]


@pytest.mark.slow
def test_delays_are_kept_however_long(found):
    result = found["long_delays"]
    assert result["times"] == [[5 + delay] for delay in result["delays"]]


@pytest.mark.slow
def test_synapses_form(found):
    result = found["structural_plasticity"]
    assert len(result["synapses"]) > 50 and result["spikes"] >= 0
    assert {(weight, delay) for _, _, weight, delay in result["synapses"]} == {(2.0, 3.0)}


@pytest.mark.slow
def test_a_reward_strengthens_what_was_active(found):
    result = found["neuromodulation"]
    assert result["without_reward"] == 2 and 2.5 < result["with_reward"] < 9


@pytest.mark.slow
def test_provenance_and_the_programs_own_output_are_read_back(tmp_path):
    settings = "[Reports]\nextract_iobuf = True\n"
    results_of(["synfire_chain"], tmp_path, settings)
    assert list(tmp_path.rglob("iobuf_for_chip_0_0_processor_id_*.txt"))
    assert list(tmp_path.rglob("*provenance*.sqlite3"))
