"""E4 of native and gated cells: programs that the user built, on an emulated board, bit for bit.

``make test-board`` with SNN_SSM_APLX naming the folder that holds them (docs/how-to/spinnaker.md).
"""

import os
from pathlib import Path

import numpy as np
import pytest
from support.egru_networks import egru_checkpoint, egru_network_of
from support.files import ROOT
from support.gated_networks import gated_network_of, lowered, samples_for
from support.looped_networks import looped_gated_network
from support.on_board import differing, needs_board, own_board
from support.random_networks import checkpoint_of, samples_of

from export.lowering.network import lower
from snn_ssm.checkpoint import load_checkpoint

FOLDER = os.environ.get("SNN_SSM_APLX", "")
PROGRAMS = ("state_space.aplx", "state_space_gated.aplx")
pytestmark = [
    needs_board,
    pytest.mark.board,
    pytest.mark.skipif(
        not all((Path(FOLDER) / name).is_file() for name in PROGRAMS) or not FOLDER,
        reason=f"SNN_SSM_APLX names no folder with {' and '.join(PROGRAMS)}",
    ),
]


@pytest.fixture(scope="module")
def address():
    found, board = own_board(13)
    with board:
        yield found
        assert board.errors == []


def check(counts, report):
    """Nothing differs, and there was something that could."""
    assert report["weights"]["differing"] == report["parameters"]["differing"] == 0
    for name, (wrong, number) in counts.items():
        assert wrong == 0 and number > 0, name


@pytest.mark.parametrize("changes", [
    {"modes": 4}, {"modes": 3, "mode_init": "s4d-real"}, {"modes": 16}, {"reset": "soft"},
    {"reset": "soft", "refractory": 2, "mode_init": "s4d-real"}, {"reset": "hard"},
    {"reset": "hard", "refractory": 3, "mode_init": "s4d-real"}, {"history": 5}, {"history": 32},
])
def test_native(address, changes):
    checkpoint = checkpoint_of(3, 20, channels=12, depth=3, **changes)
    check(*differing(lower(checkpoint, delay=2), samples_of(checkpoint, 2), address, 8))


@pytest.mark.parametrize(("kind", "residual"), [
    ("glu", "folded"), ("gsu", "folded"), ("gsu of two matrices", "folded"),
    ("token glu", "folded"), ("events gsu", "folded"), ("glu with reset", "folded"),
    ("glu with history", "folded"), ("glu", "relayed"), ("gsu", "relayed"),
])
def test_gated(address, kind, residual):
    """Two or three cores a layer, three layers, the readout behind them."""
    _, network, samples = lowered(
        kind, 3, steps=20, count=2, residual=residual, channels=10, depth=3
    )
    check(*differing(network, samples, address, 4))


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("delay", [1, 4])
def test_gated_networks_of_no_checkpoint(address, kind, delay):
    """Cells mixed, graded weights real, delays up to 16 and 12 ticks."""
    network = gated_network_of(3, kind, layers=3 if delay == 1 else 2, delay=delay, steps=25)
    counts, report = differing(network, samples_for(network, 3), address, 2)
    assert not any(wrong for wrong, _ in counts.values())
    assert report["weights"]["differing"] == report["parameters"]["differing"] == 0


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_gated_networks_in_loops(address, kind):
    network = looped_gated_network(1, kind)
    counts, report = differing(network, samples_for(network, 2, 1), address, 2)
    assert not any(wrong for wrong, _ in counts.values()) and counts["layer2"][1] > 0
    assert report["weights"]["differing"] == report["parameters"]["differing"] == 0


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("seed", [0, 3])
def test_event_based_units_of_no_checkpoint(address, seed, own):
    """Values that go forward, back and to themselves, some late; two or three units a core."""
    back = "own" if own else 0.6
    network = egru_network_of(seed, layers=3, steps=25, back=back)
    check(*differing(network, samples_for(network, 2), address, 2 + own))


def test_event_based_units(address):
    checkpoint = egru_checkpoint(5, 25, channels=12, depth=2)
    check(*differing(lower(checkpoint), samples_of(checkpoint, 2), address, 5))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "residual"), [
    ("smnist-binary-s4d", "folded"), ("smnist-glu", "folded"), ("smnist-gsu", "folded"),
    ("smnist-glu", "relayed"), ("smnist-gsu", "relayed"),
])
def test_shipped_networks_on_a_digit(address, name, residual):
    trained = load_checkpoint(ROOT / "examples" / "checkpoints" / name)
    network = lower(trained, residual=residual)
    samples = np.load(ROOT / "examples" / "data" / "mnist-test-200.npz")["inputs"][:1]
    check(*differing(network, samples, address))
