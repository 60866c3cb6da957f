"""What is read comes from strangers: kinds and sizes first, then memory; nothing too deep."""

import io
import os
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support.files import ROOT

from pynn_models import SnnSsmError
from snn_ssm import config, npz, reading
from snn_ssm.checkpoint import check_size, load_checkpoint
from snn_ssm.config import ConfigError, ModelConfig, TaskConfig
from snn_ssm.convert.names import MapError, load_map
from snn_ssm.convert.source import read_state
from snn_ssm.files import FileError, read_arrays
from snn_ssm.reading import parse_json, parse_toml, read_bytes
from snn_ssm.results.page import read_metrics
from snn_ssm.tasks import read_samples
from snn_ssm.tasks.base import DataError, require_room
from snn_ssm.tasks.mnist import FILES, SMNIST, read_idx

DEEP = "[" * 100_000


@pytest.mark.parametrize(("text", "why"), [
    (DEEP, "nested too deeply"), ("[" * 70 + "]" * 70, "nested more than 64 deep"),
    ("9" * 4400, "a number of 4400 digits"), ("1" + "0" * 400, "a number of 401 digits"),
    ("1e400", "no finite number"), ("NaN", "no finite number"), ("-Infinity", "no finite number"),
    ('"\\ud800"', "surrogates not allowed"), ('{"\\udfff": 1}', "surrogates not allowed"),
    ("18446744073709551616", "a number of 65 bits"),
])
def test_json_that_no_file_of_ours_holds(text, why):
    with pytest.raises(ValueError, match=why):
        parse_json(text)


@pytest.mark.parametrize(("text", "why"), [
    (f"a = {DEEP}", "nested too deeply"), ("a" + ".a" * 3000 + " = 1", "nested more than 64 deep"),
    (f"a = {'9' * 4400}", "Exceeds the limit"), (f"a = 1{'0' * 400}", "a number of 1329 bits"),
    (f"a = 0x{'f' * 400}", "a number of 1600 bits"),
])
def test_toml_that_no_file_of_ours_holds(text, why):
    with pytest.raises(ValueError, match=why):
        parse_toml(text)
    with pytest.raises(ConfigError, match="is not valid TOML"):
        config.loads(text)


def test_what_our_files_hold_is_parsed():
    assert parse_json('{"a": [1, 2.5, true, null, "é"]}') == {"a": [1, 2.5, True, None, "é"]}
    assert parse_toml("a = 1\n[b]\nc = [inf, 2.0]") == {"a": 1, "b": {"c": [float("inf"), 2.0]}}


# Devices, pipes, and what has no end.

def readers(path):
    """Everything that is given a path by a user, called with it."""
    (path.parent / "checkpoint").mkdir(exist_ok=True)
    inner = path.parent / "checkpoint" / "config.toml"
    if not inner.is_symlink():
        inner.symlink_to(path)
    return {
        "bytes": lambda: read_bytes(path, "thing"),
        "arrays": lambda: read_arrays(path, "thing"),
        "configuration": lambda: config.load(path),
        "checkpoint": lambda: load_checkpoint(path.parent / "checkpoint"),
        "samples": lambda: read_samples(path),
        "map": lambda: load_map(path),
        "source": lambda: read_state(path),
        "idx": lambda: read_idx(path, (2, 3)),
    }


READERS = (
    "bytes", "arrays", "configuration", "checkpoint", "samples", "map", "source", "idx",
)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_only_regular_files_are_read(tmp_path, name, kind):
    path = tmp_path / "x.npz"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SnnSsmError, match="it is no regular file"):
        readers(path)[name]()


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_larger_than_memory_is_not_read(tmp_path, name, monkeypatch):
    path = tmp_path / "x.npz"
    with path.open("wb") as stream:
        stream.truncate(2**43)  # 8 TiB that take no place
    with pytest.raises(SnnSsmError):
        readers(path)[name]()


def test_the_memory_is_that_of_the_process():
    whole = reading.memory()
    assert 2**28 < whole < 2**50
    code = "from snn_ssm.reading import memory; print(memory())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
    )
    assert int(done.stdout) == 2**29, done.stderr


# Archives of NumPy's.

def bomb(size, name="inputs", declared=None):
    """An .npz whose array of ``size`` zeros is packed a thousand times smaller."""
    content, header = io.BytesIO(), io.BytesIO()
    shape = (declared or size,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        zeros = bytes(2**20)
        for _ in range(size // len(zeros)):
            member.write(zeros)
    return content.getvalue()


def test_a_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    path.write_bytes(bomb(2**26))
    monkeypatch.setattr(npz, "memory", lambda: 2**24)
    with pytest.raises(ValueError, match=r"inputs\.npy takes 67108864 bytes, of which 16777216"):
        npz.read_arrays(path, ["inputs"])
    with pytest.raises(DataError, match="cannot be read as samples"):
        read_samples(path)


@pytest.mark.parametrize("declared", [2**40, 2**62, 5])
def test_a_member_that_is_not_as_long_as_it_says(tmp_path, declared):
    path = tmp_path / "x.npz"
    path.write_bytes(bomb(2**20, declared=declared))
    with pytest.raises(ValueError, match=r"inputs\.npy (takes|has) \d+ bytes"):
        npz.read_arrays(path, ["inputs"])


@pytest.mark.parametrize("array", [
    np.array([1, None], object), np.zeros(2, [("a", "u1"), ("b", "f4")]),
])
def test_arrays_of_objects_and_records_are_not_read(tmp_path, array):
    np.savez(tmp_path / "x.npz", a=array)
    with pytest.raises(ValueError, match=r"a\.npy is of type"):
        npz.read_arrays(tmp_path / "x.npz", ["a"])


def test_members_that_are_no_arrays(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", b"not an array")
        archive.writestr("labels", b"")
    with pytest.raises(ValueError, match=r"inputs\.npy is no array of NumPy's"):
        npz.read_arrays(path, ["inputs"])
    with pytest.raises(ValueError, match=r"it has no labels\.npy; it has inputs\.npy, labels"):
        npz.read_arrays(path, ["labels"])


@pytest.mark.parametrize("array", [
    np.arange(12).reshape(3, 4), np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array(5), np.zeros((0, 3)), np.array(["ab", "c"]), np.arange(3, dtype=">i4"),
    np.array(["2026-01-01"], "datetime64[D]"), np.array([True, False]),
])
def test_arrays_come_as_numpy_reads_them(tmp_path, array):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", a=array)
        found = npz.read_arrays(tmp_path / "x.npz", ["a"])["a"]
        assert found.dtype == array.dtype and (found == array).all() and found.shape == array.shape


# Sizes in configurations.

def test_a_configuration_of_three_lines_takes_no_memory(tmp_path):
    text = "[task]\nsteps = 10000000000\npermutation = [0]\n"
    with pytest.raises(ConfigError, match=r"task\.steps\] is 10000000000; expected .* up to 16777"):
        config.loads(text)
    with pytest.raises(ConfigError, match=r"task\.permutation\] is '1 entries'"):
        TaskConfig(steps=2**24, permutation=(0,))
    with pytest.raises(ConfigError, match=r"\[training\.rate\] is 'an integer of many digits'"):
        config.from_dict(config.TrainingConfig, {"rate": 10**400}, "training")


def test_a_model_that_no_memory_holds():
    with pytest.raises(ConfigError, match=r"takes \d{16} bytes at least; expected no more than"):
        check_size(ModelConfig(channels=2**16, depth=2**16, modes=1))
    check_size(ModelConfig())
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from support.toy_problem import TEST, TRAIN, config_of

    from snn_ssm.training.loop import train

    with pytest.raises(ConfigError, match="half of the memory"):
        train(config_of(channels=2**16, depth=2**16), TRAIN, TEST, ROOT / "not written")


def test_samples_that_no_memory_holds():
    with pytest.raises(DataError, match=r"rows would take \d+ bytes .* Lower task\.steps"):
        require_room((10**6, 10**9), 8, "rows")


def test_a_wrong_value_is_shown_in_part():
    with pytest.raises(ConfigError) as caught:
        config.loads("[model]\nnorm = \"" + "x" * 10_000 + "\"\n")
    assert len(str(caught.value)) < 400 and "xxx..." in str(caught.value)


# Models of others.

def test_a_tensor_that_repeats_its_elements(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({"a": torch.zeros(1).expand(2**40)}, tmp_path / "m.pt")
    with pytest.raises(SnnSsmError, match=r"a of shape \(1099511627776,\) and strides \(0,\)"):
        read_state(tmp_path / "m.pt")


def test_a_torch_file_that_unpacks_to_more_than_memory(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({"a": torch.zeros(2**20)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as old, zipfile.ZipFile(
        tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED
    ) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert (tmp_path / "m.pt").stat().st_size < 2**17
    monkeypatch.setattr("snn_ssm.convert.source.memory", lambda: 2**21)
    with pytest.raises(SnnSsmError, match=r"unpacks to \d+ bytes; expected no more than 2097152"):
        read_state(tmp_path / "m.pt")


@pytest.mark.parametrize("layout", ["[]", "{}", "1", '["s4d"]'])
def test_a_layout_that_is_no_name(tmp_path, layout):
    stated = 'activation = "heaviside"\ndiscretisation = "zoh"\ninput_scale = 1.0\n'
    stated += 'pooling = "mean"\nprenorm = true\n'
    (tmp_path / "m.toml").write_text(f"[task]\n[model]\n{stated}[names]\nlayout = {layout}\n")
    with pytest.raises(MapError, match=r"names\.layout is .*; expected one of s4d"):
        load_map(tmp_path / "m.toml")


# Data of tasks.

def test_files_of_mnists_names_that_are_not_mnist(tmp_path):
    import gzip

    for file in FILES["test"]:
        header = (0x0800 + len(file.shape)).to_bytes(4, "big")
        header += b"".join(n.to_bytes(4, "big") for n in file.shape)
        content = header + bytes(int(np.prod(file.shape)))
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(content, 1))
    with pytest.raises(DataError) as caught:
        SMNIST.load(tmp_path, "test", TaskConfig())
    message = str(caught.value)
    assert "t10k-images-idx3-ubyte.gz is not MNIST's: its SHA-256" in message
    assert f"expected {FILES['test'][0].digest}" in message
    assert "Fashion-MNIST, are data of your own: write train.npz and test.npz" in message


def test_a_gzip_bomb_is_unpacked_no_further_than_needed(tmp_path):
    import gzip
    import tracemalloc

    (tmp_path / "f.gz").write_bytes(gzip.compress(bytes(2**28), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="is no idx file of shape"):
        read_idx(tmp_path / "f.gz", (2, 3))
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_metrics_that_would_be_a_page_of_their_own(tmp_path):
    from support.fuzzed_formats import make_metrics

    make_metrics(tmp_path)
    text = (tmp_path / "m.json").read_text().replace('"GSU"', '["GSU"]')
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(SnnSsmError, match="is not the metrics"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("entry", [
    {"dtype": "F32", "shape": [2, 10**400], "data_offsets": [0, 8]},
    {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]},
    {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
    {"dtype": "BOOL", "shape": [8], "data_offsets": [0, 8]},
    {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
])
def test_a_header_of_safetensors_that_is_none(tmp_path, entry):
    import json

    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "a"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x02" * 8)
    with pytest.raises(FileError, match="is no valid safetensors file"):
        read_arrays(path, "thing")
