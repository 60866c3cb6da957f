"""State dicts that another program saved are read; what is none is refused, its code not run."""

import os
import pickle
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from support.foreign import Foreign, write_map  # noqa: E402

from export.command.arguments import main  # noqa: E402
from pynn_models import SnnSsmError  # noqa: E402
from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.convert.source import SourceError, read_state  # noqa: E402
from snn_ssm.files import FileError  # noqa: E402

STATE = {"a.weight": torch.tensor([[1.5, -2], [0, 3]]), "count": torch.tensor(7)}


class Trap:
    """Unpickled, it makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def save_bare(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


def save_old(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_tensors(content, path):
    safetensors.save_file(content, path, {"format": "pt"})


def refusal(path, key="", error=SourceError):
    with pytest.raises(error) as caught:
        read_state(path, key)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize("save", [torch.save, save_old, save_tensors])
def test_a_state_dict_whatever_the_file_is_called(tmp_path, save):
    save(STATE, tmp_path / "model.bin")
    found = read_state(tmp_path / "model.bin")
    assert set(found) == set(STATE)
    assert found["a.weight"].dtype == np.float32 and found["count"].dtype == np.int64
    assert found["a.weight"].tolist() == [[1.5, -2], [0, 3]] and found["count"] == 7


def test_parameters_views_and_an_ordered_dict(tmp_path):
    module = torch.nn.Linear(3, 2)
    torch.save(module.state_dict(keep_vars=True), tmp_path / "one")
    torch.save({"t": module.weight.detach().T}, tmp_path / "two")
    weight = module.weight.detach().numpy()
    np.testing.assert_array_equal(read_state(tmp_path / "one")["weight"], weight)
    np.testing.assert_array_equal(read_state(tmp_path / "two")["t"], weight.T)


@pytest.mark.parametrize("save", [torch.save, save_tensors])
@pytest.mark.parametrize(
    ("kind", "comes_as"),
    [
        (torch.bfloat16, {np.float32}),
        (torch.float16, {np.float16, np.float32}),
        (torch.float64, {np.float64}),
        (torch.complex64, {np.complex64}),
    ],
)
def test_every_type_keeps_its_values(tmp_path, save, kind, comes_as):
    tensor = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).to(kind)
    save({"x": tensor}, tmp_path / "model")
    found = read_state(tmp_path / "model")["x"]
    assert found.dtype.type in comes_as
    wide = tensor if kind.is_complex else tensor.double()
    np.testing.assert_array_equal(found.astype(wide.numpy().dtype), wide.numpy())


def test_a_state_dict_among_other_things(tmp_path):
    torch.save({"epoch": 3, "net": STATE}, tmp_path / "model")
    assert set(read_state(tmp_path / "model", "net")) == set(STATE)
    message = refusal(tmp_path / "model")
    assert "holds 'epoch' (a int), 'net' (a dict); expected a state dict" in message
    assert "names.key" in message
    message = refusal(tmp_path / "model", "model")
    assert "has nothing by the key 'model'; it holds 'epoch' (a int), 'net' (a dict)" in message
    assert "key 'epoch', holds a int; expected a state dict" in refusal(tmp_path / "model", "epoch")


@pytest.mark.parametrize("content", [STATE["count"], [STATE], {1: STATE["count"]}])
def test_a_torch_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "model")
    assert "expected a state dict, tensors by name" in refusal(tmp_path / "model")


@pytest.mark.parametrize(("content", "kind"), [([STATE], "list"), (STATE["count"], "Tensor")])
def test_what_is_no_table_has_nothing_by_a_key(tmp_path, content, kind):
    torch.save(content, tmp_path / "model")
    message = refusal(tmp_path / "model", "net")
    assert f"has nothing by the key 'net'; it holds a {kind}. Correct names.key." in message


@pytest.mark.parametrize("save", [torch.save, save_old, save_bare])
def test_code_in_a_file_is_not_run(tmp_path, save, capsys):
    trap = tmp_path / "trapped"
    save({"x": Trap(trap)} | STATE, tmp_path / "model.pt")
    message = f"holds {os.mkdir.__module__}.mkdir, which only running code of the file could load"
    assert message in refusal(tmp_path / "model.pt")
    mapping = write_map(tmp_path / "map.toml", key="state_dict")
    arguments = [tmp_path / "model.pt", tmp_path / "out", "--map", mapping]
    assert main(["convert", *map(str, arguments)]) == 2
    assert "SourceError" in capsys.readouterr().err
    assert not trap.exists() and not (tmp_path / "out").exists()
    with (tmp_path / "model.pt").open("rb") as stream:
        load = pickle.load if save is save_bare else lambda s: torch.load(s, weights_only=False)
        load(stream)
    assert trap.exists()  # the trap was one


def test_a_whole_model_is_named_by_its_class(tmp_path):
    torch.save(Foreign(), tmp_path / "model.pt")
    message = refusal(tmp_path / "model.pt")
    found = "holds support.foreign.Foreign, which only running code of the file could load"
    assert found in message
    assert "Save model.state_dict(), not the model." in message


def test_no_file_and_a_directory(tmp_path):
    assert "cannot read model" in refusal(tmp_path / "none", error=FileError)
    assert "Is a directory" in refusal(tmp_path, error=FileError)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"import torch\n", b"\x89HDF\r\n"])
def test_neither_format(tmp_path, content):
    (tmp_path / "model").write_bytes(content)
    message = refusal(tmp_path / "model")
    assert "is neither a safetensors file nor one that torch.save wrote" in message


@pytest.mark.parametrize("save", [torch.save, save_old])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_half_a_torch_file(tmp_path, save, share):
    path = tmp_path / "model"
    save(STATE, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "is no valid torch file" in refusal(path)


def test_half_a_safetensors_file(tmp_path):
    path = tmp_path / "model"
    save_tensors(STATE, path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "is no valid safetensors file" in refusal(path, error=FileError)


def test_a_safetensors_file_has_nothing_by_a_key(tmp_path):
    save_tensors(STATE, tmp_path / "model")
    message = refusal(tmp_path / "model", "state_dict")
    assert "holds nothing by the key 'state_dict'. Leave out names.key." in message


def test_a_tensor_that_numpy_lacks(tmp_path):
    torch.save(STATE | {"odd": torch.eye(3).to_sparse()}, tmp_path / "model")
    message = refusal(tmp_path / "model")
    assert "odd is a tensor that NumPy lacks (torch.float32, torch.sparse_coo)" in message


def test_without_torch_safetensors_are_read_and_a_torch_file_is_refused(tmp_path, monkeypatch):
    torch.save(STATE, tmp_path / "model.pt")
    save_tensors(STATE, tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert set(read_state(tmp_path / "model.safetensors")) == set(STATE)
    message = refusal(tmp_path / "model.pt")
    assert "is a torch file, and torch cannot be imported" in message
    assert "pip install 'snn-ssm[train]'" in message and "safetensors" in message


def test_errors_are_the_projects_own():
    assert issubclass(SourceError, SnnSsmError)


SCALARS = [
    np.float64(0.5), np.float32(-2), np.float16(1.5), np.int64(-7), np.uint8(200), np.bool_(True),
    np.complex64(1 - 2j),
]


@pytest.mark.parametrize("save", [torch.save, save_old])
def test_numpy_scalars_beside_the_state_dict_do_no_harm(tmp_path, save):
    content = {"state_dict": STATE, "best": np.float64(0.98), "epoch": np.int64(3), "all": SCALARS}
    save(content, tmp_path / "model.pt")
    assert set(read_state(tmp_path / "model.pt", "state_dict")) == set(STATE)
    assert "'best' (a number)" in refusal(tmp_path / "model.pt")


@pytest.mark.parametrize("save", [torch.save, save_old])
def test_numpy_scalars_are_numbers(tmp_path, save):
    save(STATE | {f"n{i}": scalar for i, scalar in enumerate(SCALARS)}, tmp_path / "model.pt")
    found = read_state(tmp_path / "model.pt")
    for i, scalar in enumerate(SCALARS):
        assert found[f"n{i}"].shape == () and found[f"n{i}"].dtype == scalar.dtype
        assert found[f"n{i}"] == scalar


def test_a_counter_that_is_a_numpy_scalar_converts(tmp_path):
    state = Foreign().state_dict()
    state["norms.1.num_batches_tracked"] = np.int64(41)
    torch.save(state, tmp_path / "model.pt")
    write_map(tmp_path / "map.toml")
    out = tmp_path / "out"
    assert main(["convert", str(tmp_path / "model.pt"), str(out), "--map",
                 str(tmp_path / "map.toml")]) == 0
    assert load_checkpoint(out).arrays["blocks.1.norm.num_batches_tracked"] == 41


@pytest.mark.parametrize("value", [np.str_("x"), np.datetime64(1, "s"), np.void(b"abc")])
def test_scalars_that_are_no_numbers_are_refused(tmp_path, value):
    torch.save({"a": value}, tmp_path / "model.pt")
    assert "holds numpy.dtype, which only running code" in refusal(tmp_path / "model.pt")


class Forged:
    """Unpickled, it is what a call by these names makes of these arguments."""

    def __init__(self, call, *arguments):
        self.parts = call, arguments

    def __reduce__(self):
        return self.parts


class ForgedKind:
    """A dtype of any code and state."""

    def __init__(self, code, state):
        self.code, self.state = code, state

    def __reduce__(self):
        return np.dtype, (self.code, False, True), self.state


SCALAR = np.float64(1).__reduce__()[0]


@pytest.mark.parametrize(
    "forged",
    [
        Forged(SCALAR, np.dtype("f8"), b"short"),
        Forged(SCALAR, np.dtype("f8"), 3),
        Forged(SCALAR, 3, b"x" * 8),
        Forged(SCALAR, np.dtype("f8")),
        Forged(SCALAR, ForgedKind("O8", (3, "|", None, None, None, -1, -1, 63)), b"x" * 8),
        Forged(SCALAR, ForgedKind("f8", (3, "O", None, None, None, -1, -1, 63)), b"x" * 8),
        Forged(SCALAR, ForgedKind("f8", ()), b"x" * 8),
        ForgedKind("f8", (3, "<", None, None, None, -1, -1, 0)),
    ],
)
def test_a_forged_scalar_is_refused_in_its_own_words(tmp_path, forged):
    torch.save({"a": forged}, tmp_path / "model.pt")
    message = refusal(tmp_path / "model.pt")
    known = ("holds numpy.dtype, which", "is no valid torch file", "expected a state dict")
    assert any(words in message for words in known)


def test_reading_leaves_torchs_own_rules_as_they_were(tmp_path):
    torch.save({"best": np.float64(1)}, tmp_path / "model.pt")
    before = set(torch.serialization.get_safe_globals())
    read_state(tmp_path / "model.pt")
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "model.pt", weights_only=True)


@pytest.mark.parametrize(("name", "value", "said"), [
    ("epoch", 5, "'epoch' (a int)"), ("n", None, "'n' (a NoneType)"), (7, torch.ones(1), "7 (a Te"),
])
def test_what_is_no_tensor_is_told_and_not_all_that_is(tmp_path, name, value, said):
    torch.save({"weight": torch.ones(2), name: value}, tmp_path / "model.pt")
    with pytest.raises(SourceError) as caught:
        read_state(tmp_path / "model.pt")
    assert f"model.pt holds {said}" in str(caught.value) and "weight" not in str(caught.value)
