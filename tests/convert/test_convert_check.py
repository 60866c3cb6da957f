"""``--check`` says whether a conversion is right; a wrong one leaves nothing behind."""

import copy
import json
import sys

import numpy as np
import pytest
from support.random_networks import checkpoint_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.foreign import MODEL, STEPS, Foreign, write_map  # noqa: E402

from export.command.arguments import main  # noqa: E402
from pynn_models import SnnSsmError  # noqa: E402
from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.config import to_dict  # noqa: E402
from snn_ssm.convert import DifferentModelError, convert  # noqa: E402
from snn_ssm.convert.check import _CHUNK, CheckError, compared  # noqa: E402
from snn_ssm.files import pack_arrays  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.tasks.base import DataError  # noqa: E402


def samples(count=4):
    return np.random.default_rng(7).integers(0, 16, (count, 2, STEPS)).astype(np.uint16)


@pytest.fixture
def case(tmp_path, monkeypatch):
    """In a directory: model.pt, map.toml, check.npz; yields the foreign model's logits."""
    monkeypatch.chdir(tmp_path)
    foreign = Foreign()
    torch.save(foreign.state_dict(), "model.pt")
    write_map(tmp_path / "map.toml")
    scores = foreign.run(samples())[1]
    np.savez("check.npz", inputs=samples(), logits=scores)
    return scores


def command(*arguments):
    return main(["convert", "model.pt", "out", "--map", "map.toml", *map(str, arguments)])


def test_a_right_conversion_is_written_and_told(case, tmp_path, capsys):
    assert command("--check", "check.npz", "--json", "found.json") == 0
    printed = capsys.readouterr().out
    assert "check: largest difference of a logit " in printed
    assert "in 0 of 4 samples; the same class in 4 of 4\n" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"arrays", "zeros", "left_out", "check"}
    check = found["check"]
    assert check["holds"] and check["samples"] == check["same_class"] == 4
    assert check["float64"] < 1e-9 and check["beyond"] == 0
    bias = load_checkpoint(tmp_path / "out").arrays["decoder.bias"]
    assert check["scale"] == pytest.approx(np.abs(case - bias).max())
    assert check["tolerance"] == pytest.approx(1e-4 * check["scale"])


def test_without_a_check_nothing_is_compared(case, tmp_path, capsys):
    assert command("--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["check"] is None
    assert "check:" not in captured.err


def write_wrong(tmp_path):
    write_map(tmp_path / "map.toml", A_imag={"negate": True})


def test_a_wrong_one_is_status_1_and_writes_nothing(case, tmp_path, capsys):
    write_wrong(tmp_path)
    assert command("--check", "check.npz", "--json", "found.json") == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(
        "model.pt converts to another network, nothing was written: largest difference of a logit "
    )
    assert "Correct the map: the sign of the rotation" in captured.out and not captured.err
    check = json.loads((tmp_path / "found.json").read_text())["check"]
    assert not check["holds"] and check["difference"] > 100 * check["tolerance"]
    names = {"model.pt", "map.toml", "check.npz", "found.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_wrong_one_does_not_replace_a_right_one(case, tmp_path):
    assert command("--check", "check.npz") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write_wrong(tmp_path)
    assert command("--check", "check.npz", "--force") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_from_python_a_wrong_one_is_an_error_with_the_numbers(case, tmp_path):
    write_wrong(tmp_path)
    files = tmp_path / "model.pt", tmp_path / "out", tmp_path / "map.toml", tmp_path / "check.npz"
    with pytest.raises(DifferentModelError, match="converts to another network") as caught:
        convert(*files)
    assert not caught.value.comparison.holds and isinstance(caught.value, SnnSsmError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("prenorm", False), ("pooling", "last"), ("discretisation", "bilinear"), ("input_scale", 0.1)],
)
def test_what_no_array_shows_is_checked_too(case, tmp_path, key, value):
    write_map(tmp_path / "map.toml", MODEL | {key: value})
    assert command("--check", "check.npz") == 1


def test_blocks_in_another_order_are_found(case, tmp_path):
    state = torch.load("model.pt")
    other = {
        name.replace(".0.", ".x.").replace(".1.", ".0.").replace(".x.", ".1.")
        if name.startswith(("s4_layers", "norms")) and "output" not in name else name: tensor
        for name, tensor in state.items()
    }
    assert set(other) == set(state)
    torch.save(other, "model.pt")
    assert command("--check", "check.npz") == 1


def test_a_source_in_float32_is_the_same_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    foreign = Foreign(h=24, depth=4, n=8, seed=2)
    inputs = samples(20)
    net = copy.deepcopy(foreign).eval()
    with torch.no_grad():
        h = net.encoder(torch.from_numpy(inputs.astype("float32") * 0.125).transpose(1, 2))
        h = h.transpose(1, 2)
        for layer, norm in zip(net.s4_layers, net.norms, strict=True):
            h = h + layer(norm(h))[1]
        np.savez("check.npz", inputs=inputs, logits=net.decoder(h.mean(-1)).numpy())
    torch.save(foreign.state_dict(), "model.pt")
    model = MODEL | {"channels": 24, "depth": 4, "modes": 8}
    write_map(tmp_path / "map.toml", model)
    assert command("--check", "check.npz") == 0
    write_map(tmp_path / "map.toml", model, A_imag={"negate": True})
    assert command("--check", "check.npz", "--force") == 1


def numbers(seed, shape=(30, 3)):
    return np.random.default_rng(seed).normal(size=shape)


def found(expected, single, double):
    return compared(expected, single, double, np.zeros(3))


def test_the_nearer_of_the_two_runs_counts():
    source = numbers(0)
    far = source + 1
    assert found(source, far, source).difference == 0
    assert found(source, source, far).difference == 0
    assert found(source, far, far).difference == pytest.approx(1)


def test_an_overflow_of_float32_is_no_other_network():
    source = numbers(0)
    over = source.copy()
    over[0], over[1] = np.nan, np.inf
    assert found(source, over, source).holds
    assert not found(source, over, over).holds


def test_one_sample_in_ten_may_have_flipped_a_spike_and_none_may_be_another():
    source = numbers(0)
    scale = np.abs(source).max()
    for beyond, size, holds in [
        (3, 0.01, True), (4, 0.01, False), (30, 0.01, False), (1, 0.049, True), (1, 0.051, False),
    ]:
        ours = source.copy()
        ours[:beyond, 1] += size * scale
        comparison = found(source, ours, ours)
        assert comparison.beyond == beyond and comparison.holds is holds, (beyond, size)
    few = source[:9]  # less than one in ten is none
    ours = few.copy()
    ours[0] += 1e-3
    assert not found(few, ours, ours).holds


def test_where_float32_flips_spikes_in_most_samples_it_may_have_done_so_there():
    source = numbers(0)
    scale = np.abs(source).max()
    flips = 0.01 * scale * np.sign(numbers(1))
    comparison = found(source, source + 2 * flips, source + 3 * flips)
    assert comparison.tolerance == pytest.approx(0.04 * scale)
    assert comparison.difference == pytest.approx(0.02 * scale) and comparison.holds
    chaotic = found(source, source + 100 * flips, source - 100 * flips)
    assert chaotic.tolerance == pytest.approx(0.05 * scale) and not chaotic.holds


def test_the_decoders_bias_hides_nothing():
    source, bias = numbers(0), np.array([1e4, 0, 0])
    wrong = source + 0.1 + bias
    assert not compared(source + bias, wrong, wrong, bias).holds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": samples()[:, :1]}, "inputs have shape (4, 1, 30); expected (B, 2, L)"),
        ({"inputs": samples()[0]}, "inputs have shape (2, 30); expected (B, 2, L)"),
        ({"inputs": samples()[:0]}, "inputs have shape (0, 2, 30); expected (B, 2, L)"),
        ({"logits": np.zeros((4, 4))}, "logits have shape (4, 4); expected (4, 3), one row"),
        ({"logits": np.zeros((3, 3))}, "logits have shape (3, 3); expected (4, 3), one row"),
        ({"logits": np.zeros(4)}, "logits have shape (4,); expected (4, 3)"),
        ({"logits": np.full((4, 3), np.nan)}, "logits, of type float64, are not all finite real"),
        ({"inputs": samples() + 0j}, "inputs, of type complex128, are not all finite real"),
        ({"logits": np.full((4, 3), "a")}, "logits, of type <U1, are not all finite real"),
    ],
)
def test_a_check_of_another_model_is_refused_by_name(case, tmp_path, capsys, change, message):
    np.savez("check.npz", **({"inputs": samples(), "logits": case} | change))
    assert command("--check", "check.npz") == 2
    error = capsys.readouterr().err
    assert error.startswith("snn-ssm: CheckError: check.npz: ") and message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.zeros(4)}, "it also holds labels, of which nothing is known here"),
        ({"logits": None}, "it has no logits.npy"),
        ({"logits": np.array([None])}, "logits.npy is of type object"),
        ({"inputs": samples() + 16}, "expected integers from 0 to 15"),
    ],
)
def test_a_file_that_is_no_check_is_refused(case, tmp_path, arrays, message):
    held = {"inputs": samples(), "logits": case} | arrays
    np.savez("check.npz", **{k: v for k, v in held.items() if v is not None})
    files = tmp_path / "model.pt", tmp_path / "out", tmp_path / "map.toml", tmp_path / "check.npz"
    with pytest.raises(DataError, match=message):
        convert(*files)
    assert command("--check", "check.npz") == 2
    assert not (tmp_path / "out").exists()


def test_no_check_file(case, capsys):
    assert command("--check", "none.npz") == 2
    assert "none.npz cannot be read as a check" in capsys.readouterr().err


def test_a_check_of_another_byte_order_and_width(case):
    np.savez("check.npz", inputs=samples().astype(">f8"), logits=case.astype(">f4"))
    assert command("--check", "check.npz") == 0


OURS = {
    "transformer": {"architecture": "transformer", "heads": 2},
    "bidirectional, layer norm": {"bidirectional": True, "norm": "layer"},
    "tokens, pair": {"encoder": "embedding", "inputs": 7, "pair": True},
    "GSU": {
        "mixing": "gsu", "activation": "ternary-constant", "gsu_weights": 2, "gsu_norm": "batch",
    },
    "LIF": {"cells": "lif"},
    "stock": {"cells": "stock", "mode_init": "s4d-real", "modes": 1},
}


@pytest.mark.parametrize("kind", OURS)
def test_whatever_converts_can_be_checked(tmp_path, kind):
    original = checkpoint_of(4, steps=STEPS, **OURS[kind])
    model = original.config.model
    channels = 1 if model.encoder == "embedding" else model.inputs
    inputs = np.random.default_rng(0).integers(0, 7, (60, channels, STEPS))
    network, parts = load_network(original), torch.from_numpy(inputs).split(_CHUNK)
    with torch.no_grad():  # torch's products may round otherwise in batches of another size
        scores = torch.cat([network(part).logits for part in parts]).numpy()
    np.savez(tmp_path / "check.npz", inputs=inputs, logits=scores)
    (tmp_path / "model").write_bytes(pack_arrays(original.arrays))
    mapping = write_map(tmp_path / "map.toml", to_dict(model), layout="snn-ssm")
    files = tmp_path / "model", tmp_path / "out", mapping, tmp_path / "check.npz"
    assert convert(*files).comparison.float32 == 0
    np.savez(tmp_path / "check.npz", inputs=inputs, logits=scores[::-1])
    with pytest.raises(DifferentModelError):
        convert(files[0], tmp_path / "other", *files[2:])


def test_torch_is_asked_for_by_name(case, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "snn_ssm.model.restore", None)
    state = {name: tensor.numpy() for name, tensor in torch.load("model.pt").items()}
    (tmp_path / "model").write_bytes(pack_arrays(state))
    files = tmp_path / "model", tmp_path / "out", tmp_path / "map.toml", tmp_path / "check.npz"
    with pytest.raises(CheckError, match="--check runs the model, and torch cannot be imported"):
        convert(*files)
