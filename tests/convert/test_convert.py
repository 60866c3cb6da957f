"""A model written elsewhere converts: every array in its place, its spikes and classes the same."""

import json
import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.files import ROOT
from support.random_networks import checkpoint_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from support.foreign import MODEL, STEPS, Foreign, write_map  # noqa: E402

from export.command.arguments import main  # noqa: E402
from export.lowering.network import lower  # noqa: E402
from export.samples.readout import logits, needed_membranes  # noqa: E402
from export.software import simulation as software  # noqa: E402
from export.verification.backends import runner, torch_runner  # noqa: E402
from export.verification.contract import holds, verify  # noqa: E402
from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.config import Config, ModelConfig, from_dict, to_dict  # noqa: E402
from snn_ssm.convert.conversion import convert, place  # noqa: E402
from snn_ssm.convert.names import LAYOUTS, MapError, Names, load_map  # noqa: E402
from snn_ssm.files import pack_arrays  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402

DOCUMENT = (ROOT / "docs" / "how-to" / "convert.md").read_text(encoding="utf-8")
S4D_NAMES = Names("s4d", LAYOUTS["s4d"])
KINDS = {
    "linear, pre": ({}, {}),
    "linear, post": ({"prenorm": False}, {"prenorm": False}),
    "GLU, pre": ({"gated": True}, {"mixing": "glu"}),
    "GLU, post": ({"gated": True, "prenorm": False}, {"mixing": "glu", "prenorm": False}),
    "bilinear, last": (
        {"bilinear": True, "pooling": "last"}, {"discretisation": "bilinear", "pooling": "last"},
    ),
}
SAVE = {"model.pt": torch.save, "model.safetensors": safetensors.save_file}


def samples(count=4):
    return np.random.default_rng(7).integers(0, 16, (count, 2, STEPS)).astype(np.uint16)


def command(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("file", SAVE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_model_and_its_conversion_spike_alike(tmp_path, kind, file):
    built, stated = KINDS[kind]
    foreign = Foreign(**built)
    SAVE[file](foreign.state_dict(), tmp_path / file)
    mapping = write_map(tmp_path / "map.toml", MODEL | stated)
    out = tmp_path / "checkpoint"
    assert command("convert", tmp_path / file, out, "--map", mapping) == 0

    network = lower(load_checkpoint(out))
    spikes, scores = foreign.run(samples())
    recording = software.run(network, samples(), membranes=needed_membranes(network))
    for i, expected in enumerate(spikes):
        assert 0.05 < expected.mean() < 0.95
        np.testing.assert_array_equal(recording.spikes[f"layer{i}"], expected)
    found = logits(network, samples(), recording)
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-12 * np.abs(scores).max())

    runners = {"torch": torch_runner(out, network), "software": runner("software", network)}
    result = verify(network, samples(), scores.argmax(axis=1), runners)
    assert holds(result) and result["contract"] == {"E2": True}
    assert result["spikes"] == sum(int(s.sum()) for s in spikes)
    assert {found["accuracy"] for found in result["backends"].values()} == {1.0}


def test_from_the_state_dict_to_the_verified_network_by_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    foreign = Foreign()
    torch.save({"epoch": 3, "state_dict": foreign.state_dict()}, "model.pt")
    write_map(tmp_path / "map.toml", key="state_dict")
    labels = foreign.run(samples())[1].argmax(axis=1)
    np.savez("samples.npz", inputs=samples(), labels=labels)
    assert command("convert", "model.pt", "checkpoint", "--map", "map.toml") == 0
    assert command("export", "checkpoint", "network") == 0
    assert command(
        "verify", "network", "--checkpoint", "checkpoint", "--backends", "torch,software",
        "--data", "samples.npz", "--json", "verify.json",
    ) == 0
    result = json.loads((tmp_path / "verify.json").read_text())
    assert result["contract"] == {"E2": True, "E5": True}
    assert result["backends"]["software"]["accuracy"] == 1.0


def test_what_is_left_out_and_what_is_zero_is_as_asked_for_and_said(tmp_path, capsys):
    foreign = Foreign(bias=False)
    state = foreign.state_dict()
    state |= {f"ema.{name}": tensor + 1 for name, tensor in state.items()}
    torch.save(state, tmp_path / "model.pt")
    mapping = write_map(tmp_path / "map.toml", ignore=["ema.*"], zeros=["encoder.b*", "decoder.*"])
    out = tmp_path / "checkpoint"
    assert command("convert", tmp_path / "model.pt", out, "--map", mapping) == 0
    printed = capsys.readouterr().out
    assert "set to 0: encoder.bias\n" in printed  # the decoder has its arrays in the source
    assert "left out: ema.encoder.weight, " in printed and "float32" not in printed
    network = lower(load_checkpoint(out))
    recording = software.run(network, samples())
    for i, expected in enumerate(foreign.run(samples())[0]):
        np.testing.assert_array_equal(recording.spikes[f"layer{i}"], expected)


def documented_map():
    return re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[1]


def test_the_map_of_the_document_converts_the_model_it_describes(tmp_path):
    (tmp_path / "map.toml").write_text(documented_map())
    config, _ = load_map(tmp_path / "map.toml")
    model = config.model
    foreign = Foreign(
        inputs=model.inputs, classes=model.classes, h=model.channels, depth=model.depth,
        n=model.modes, scale=model.input_scale,
    )
    state = {f"net.{name}": tensor for name, tensor in foreign.state_dict().items()}
    state["net.ema.decay"] = torch.tensor(0.999)
    torch.save({"epoch": 9, "state_dict": state}, tmp_path / "model.pt")
    out = tmp_path / "checkpoint"
    assert command("convert", tmp_path / "model.pt", out, "--map", tmp_path / "map.toml") == 0
    found = load_checkpoint(out)
    assert found.config == config
    last = foreign.s4_layers[3].kernel.C.detach().numpy()
    np.testing.assert_array_equal(found.arrays["blocks.3.ssm.c"][0], last)


def test_the_five_keys_of_the_document_must_be_stated(tmp_path):
    table = tomllib.loads(documented_map())
    for key in list(table["model"])[:5]:
        model = {k: v for k, v in table["model"].items() if k != key}
        path = write_map(tmp_path / "map.toml", model)
        with pytest.raises(MapError, match=rf"does not say {key}, which no array shows"):
            load_map(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_table_of_the_document_has_the_defaults(layout):
    rows = [line.split("|")[1:-1] for line in DOCUMENT.splitlines() if line.startswith("| ")]
    column = next(cells.index(cell) for cells in rows for cell in cells if f"`{layout}`" in cell)
    pairs = [re.search(r'`(\w+) = "(.*)"`', cells[column]) for cells in rows]
    documented = {pair[1]: pair[2] for pair in pairs if pair}
    ends = {"encoder": "encoder", "decoder": "decoder"}
    assert documented | ends == LAYOUTS[layout]


def test_each_array_has_the_place_that_its_equation_says():
    source = Foreign(gated=True).numbers()
    placed = place(source, from_dict(ModelConfig, MODEL | {"mixing": "glu"}), S4D_NAMES, "it")
    block, old = "blocks.1.", "s4_layers.1."
    expected = {
        block + "ssm.a": source[old + "kernel.log_A_real"],
        block + "ssm.omega": source[old + "kernel.A_imag"],
        block + "ssm.log_dt": source[old + "kernel.log_dt"],
        block + "ssm.b": np.stack([np.ones((5, 3)), np.zeros((5, 3))], axis=-1),
        block + "ssm.c": source[old + "kernel.C"][None],
        block + "ssm.d": source[old + "D"],
        block + "mixing.weight": source[old + "output_linear.0.weight"][..., 0],
        block + "mixing.bias": source[old + "output_linear.0.bias"],
        "encoder.weight": source["encoder.weight"],
        "decoder.bias": source["decoder.bias"],
        **{
            f"{block}norm.{leaf}": source[f"norms.1.{leaf}"]
            for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        },
    }
    for name, array in expected.items():
        np.testing.assert_array_equal(placed.arrays[name], array, err_msg=name)
    kinds = {name: array.dtype for name, array in placed.arrays.items()}
    assert kinds.pop(block + "norm.num_batches_tracked") == np.int64
    assert kinds.pop("blocks.0.norm.num_batches_tracked") == np.int64
    assert set(kinds.values()) == {np.dtype(np.float32)}
    assert placed.zeros == placed.ignored == () and set(placed.changes.values()) == {0.0}


@settings(max_examples=25)
@given(data=st.data())
def test_axes_of_length_1_may_be_more_or_fewer(data):
    source = Foreign().numbers()
    name = data.draw(st.sampled_from(sorted(source)))
    short = source[name].squeeze()
    leading = data.draw(st.integers(0, 2))
    trailing = data.draw(st.integers(0, 2))
    shape = (1,) * leading + short.shape + (1,) * trailing
    model = from_dict(ModelConfig, MODEL)
    expected = place(source, model, S4D_NAMES, "it").arrays
    found = place(source | {name: short.reshape(shape)}, model, S4D_NAMES, "it").arrays
    for target, array in expected.items():
        assert found[target].shape == array.shape
        np.testing.assert_array_equal(found[target], array)


@pytest.mark.parametrize("file", SAVE)
def test_a_complex_readout_is_its_two_parts(tmp_path, file):
    state = Foreign().state_dict()
    SAVE[file](state, tmp_path / "parts")
    for i in range(2):
        name = f"s4_layers.{i}.kernel.C"
        state[name] = torch.view_as_complex(state[name])  # (H, N)
    SAVE[file](state, tmp_path / "complex")
    mapping = write_map(tmp_path / "map.toml")
    one, two = (
        convert(tmp_path / name, tmp_path / f"checkpoint-{name}", mapping).arrays
        for name in ("parts", "complex")
    )
    for name, array in one.items():
        np.testing.assert_array_equal(two[name], array)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_float32_changed_is_counted_and_said(tmp_path, capsys, sign):
    state = {name: tensor.double() for name, tensor in Foreign().state_dict().items()}
    state["decoder.bias"] = torch.tensor([0.0, 1.0, sign * (1 + 2.0**-30)], dtype=torch.float64)
    torch.save(state, tmp_path / "model.pt")
    out, mapping = tmp_path / "checkpoint", write_map(tmp_path / "map.toml")
    assert command("convert", tmp_path / "model.pt", out, "--map", mapping) == 0
    assert (
        "float32 changed values by up to 9.3e-10 of their size, as in decoder.bias\n"
        in capsys.readouterr().out
    )
    assert load_checkpoint(out).arrays["decoder.bias"].tolist() == [0, 1, sign]


OURS = {
    "native": {},
    "real": {"mode_init": "s4d-real"},
    "GLU, shared modes": {"mixing": "glu", "n_ssm": 3},
    "GSU": {
        "mixing": "gsu", "activation": "ternary-constant", "gsu_weights": 2, "gsu_norm": "batch",
    },
    "bidirectional, layer norm": {"bidirectional": True, "norm": "layer"},
    "stock": {"cells": "stock", "mode_init": "s4d-real", "modes": 1},
    "LIF": {"cells": "lif"},
    "tokens, pair": {"encoder": "embedding", "inputs": 7, "pair": True},
    "transformer": {"architecture": "transformer", "heads": 2},
}


def map_of_ours(path, model, **names):
    return write_map(path, to_dict(model), layout="snn-ssm", **names)


@pytest.mark.parametrize("kind", OURS)
def test_our_own_names_there_and_back_bit_for_bit(tmp_path, kind):
    original = checkpoint_of(4, steps=STEPS, **OURS[kind])
    (tmp_path / "model").write_bytes(pack_arrays(original.arrays))
    mapping = map_of_ours(tmp_path / "map.toml", original.config.model)
    convert(tmp_path / "model", tmp_path / "checkpoint", mapping)
    found = load_checkpoint(tmp_path / "checkpoint")
    assert found.config == Config(original.config.task, original.config.model)
    assert set(found.arrays) == set(original.arrays)
    for name, array in original.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_state_dict_of_our_own_module(tmp_path):
    model = replace(checkpoint_of().config.model, mixing="glu")
    state = build_network(model, seed=3).state_dict()
    torch.save(state, tmp_path / "model.pt")
    mapping = map_of_ours(tmp_path / "map.toml", model)
    arrays = convert(tmp_path / "model.pt", tmp_path / "checkpoint", mapping).arrays
    assert set(arrays) == set(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_our_own_layout_with_other_names(tmp_path):
    original = checkpoint_of(4, steps=STEPS)
    new = {"blocks.": "stack.", "ssm.omega": "rotation", "mixing.": "out.", "decoder.": "head."}
    state = dict(original.arrays)
    for old, other in new.items():
        state = {name.replace(old, other): array for name, array in state.items()}
    (tmp_path / "model").write_bytes(pack_arrays(state))
    mapping = map_of_ours(
        tmp_path / "map.toml", original.config.model, block="stack.{i}", norm="stack.{i}.norm",
        omega="rotation", mixing="out", decoder="head",
    )
    found = convert(tmp_path / "model", tmp_path / "checkpoint", mapping).arrays
    for name, array in original.arrays.items():
        np.testing.assert_array_equal(found[name], array)
