"""The example's closed loop: a network that flies a blimp, in software, in NEST, on a board."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from snn_ssm import load_checkpoint

EXAMPLE = Path(__file__).parents[2] / "examples" / "blimp"


@pytest.fixture
def blimp(monkeypatch):
    """The example's program, and its world, as modules."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("world", "blimp_example"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("blimp_example", EXAMPLE / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKPOINT = load_checkpoint(EXAMPLE / "checkpoint")


def test_the_network_holds_the_altitude_as_its_teacher_does(blimp):
    half = blimp.SHOWN // 2
    for altitude in (blimp.fly(None), blimp.in_software(CHECKPOINT)):
        assert altitude[:half].max() < 1.1
        assert abs(altitude[half - 100 : half].mean() - 1.0) < 0.05
        assert abs(altitude[-100:].mean() - 0.3) < 0.05


def test_without_a_controller_it_does_not_hold(blimp):
    assert blimp.fly(lambda spikes: np.zeros(2))[-1] < -5


def test_the_network_is_small(blimp):
    network = blimp.lower(CHECKPOINT)
    assert network.source.size + sum(p.size for p in network.layers) <= 160


def test_it_flies_in_nest_to_the_bit(blimp, monkeypatch, capsys, quiet_nest):
    pytest.importorskip("nest", reason="NEST is not installed")
    monkeypatch.setattr(blimp, "SHOWN", 120)
    altitude = blimp.in_nest(CHECKPOINT)
    assert altitude.max() > 0.25
    assert "5 steps late; the flight of software that is as late is the same to the bit" in (
        capsys.readouterr().out
    )


def test_it_flies_on_a_board_through_live_spikes(blimp, monkeypatch, capsys):
    pytest.importorskip("spynnaker", reason="sPyNNaker is not installed")
    pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")
    monkeypatch.setattr(blimp, "SHOWN", 160)
    altitude = blimp.on_board(CHECKPOINT)
    said = capsys.readouterr().out
    spikes = int(said.split("board: ")[1].split()[0])
    assert spikes > 500 and "; 0 differ from SpiNNaker's arithmetic" in said
    assert altitude.max() > 0.2  # it rose, however late the host was


def test_the_flights_to_learn_from_are_as_own_data_wants_them(blimp, tmp_path, monkeypatch):
    monkeypatch.setattr(blimp, "FLIGHTS", {"train": 3, "test": 2})
    monkeypatch.setattr(blimp, "STEPS", 40)
    monkeypatch.setattr(sys, "argv", ["blimp", "data", str(tmp_path)])
    blimp.main()
    with np.load(tmp_path / "train.npz") as found:
        assert found["inputs"].shape == (3, 32, 40) and found["targets"].shape == (3, 2, 40)
        assert set(np.unique(found["inputs"])) <= {0, 1} and list(found["names"]) == [
            "direct", "integral",
        ]


def test_flights_are_drawn(blimp, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "f.png")
    monkeypatch.setattr(blimp, "SHOWN", 240)
    monkeypatch.setattr(sys, "argv", ["blimp", "fly", "--backends", "software", "--out", out])
    blimp.main()
    assert Path(out).stat().st_size > 1000
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["PID", "software"]
