"""Files are whole or absent: atomic writes, new directories, arrays without pickle, hashes."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pynn_models import SnnSsmError
from snn_ssm import files
from snn_ssm.files import (
    FileError,
    is_new,
    new_directory,
    pack_arrays,
    read_arrays,
    read_bytes,
    read_sealed,
    remove_leftovers,
    require_finite,
    seal_arrays,
    sha256,
    was_cut_short,
    whole_directory,
    writable,
    write_atomic,
)

arrays = st.dictionaries(
    st.text("abc.", min_size=1, max_size=8),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.complex64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    min_size=1,
    max_size=4,
)


@given(original=arrays, metadata=st.dictionaries(st.text("xyz", min_size=1), st.text(max_size=20)))
def test_arrays_there_and_back_bit_for_bit(tmp_path_factory, original, metadata):
    path = tmp_path_factory.mktemp("arrays") / "a.safetensors"
    data = pack_arrays(original, metadata)
    write_atomic(path, data)
    found, found_metadata = read_arrays(path, "arrays", sha256(data))
    assert found_metadata == metadata and set(found) == set(original)
    for name, array in original.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_arrays_in_another_memory_order_keep_their_values(tmp_path):
    original = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    for array in (original, original.T, original[:, ::2], original[::-1]):
        write_atomic(tmp_path / "a", pack_arrays({"a": array}))
        assert (read_arrays(tmp_path / "a", "arrays")[0]["a"] == array).all()


def test_the_same_content_is_the_same_file():
    metadata = {name: name for name in "qwertyuiop"}
    content = {"b": np.arange(3), "a": np.ones(2, np.float32)}
    backwards = dict(reversed(content.items())), dict(reversed(metadata.items()))
    assert {pack_arrays(content, metadata) for _ in range(20)} == {pack_arrays(*backwards)}


@pytest.mark.parametrize("kind", ["?", "u1", "i1", "<u2", ">u4", "<i8", "<f2", ">f8", "<c8"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (2, 3, 1)])
def test_the_formats_own_library_agrees(tmp_path, kind, shape):
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    values = np.random.default_rng(0).integers(0, 2, shape).astype(kind)
    content = {"odd": np.ones(3, np.uint8), "values": values, "last": np.arange(2.0)}
    path = tmp_path / "a"
    for data in (pack_arrays(content, {"a": "b"}), library.save(content, {"a": "b"})):
        path.write_bytes(data)
        arrays, metadata = read_arrays(path, "arrays")
        assert metadata == {"a": "b"}
        for found in (arrays, library.load(data)):
            assert set(found) == set(content)
            for name, array in content.items():
                assert found[name].dtype == array.dtype.newbyteorder("=")
                np.testing.assert_array_equal(found[name], array)


def one_array(kind, shape, data):
    """A safetensors file of one array "x", by the format's description."""
    entry = {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"x": entry}).encode()
    return len(header).to_bytes(8, "little") + header + data


def test_bfloat16_comes_as_float32_of_the_same_value(tmp_path):
    # 1, -2, pi, the largest, the smallest, infinity, -0: sign, 8 bits of exponent, 7 of fraction.
    bits = np.array([0x3F80, 0xC000, 0x4049, 0x7F7F, 0x0001, 0x7F80, 0x8000, 0x7FC0], "<u2")
    (tmp_path / "a").write_bytes(one_array("BF16", [2, 4], bits.tobytes()))
    found = read_arrays(tmp_path / "a", "model")[0]["x"]
    largest = (2 - 2.0**-7) * 2.0**127
    expected = [1, -2, 3.140625, largest, 2.0**-133, np.inf, -0.0, np.nan]
    assert found.dtype == np.float32 and found.shape == (2, 4)
    np.testing.assert_array_equal(found.ravel(), np.array(expected, np.float32))
    assert np.signbit(found[1, 2])


def test_complex64_is_read_as_it_is(tmp_path):
    parts = np.array([1.5, -2.0, 0.0, 1e-30], "<f4")
    (tmp_path / "a").write_bytes(one_array("C64", [2, 1], parts.tobytes()))
    found = read_arrays(tmp_path / "a", "model")[0]["x"]
    assert found.dtype == np.complex64
    assert found.tolist() == [[1.5 - 2j], [complex(0, np.float32(1e-30))]]


@pytest.mark.parametrize("kind", ["bfloat16", "complex64"])
def test_the_formats_own_library_writes_these_types_so(tmp_path, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4, 3, dtype=torch.complex64, generator=generator)
    tensor = values.real.bfloat16().contiguous() if kind == "bfloat16" else values
    library.save_file({"x": tensor}, tmp_path / "a")
    found = read_arrays(tmp_path / "a", "model")[0]["x"]
    exact = tensor.float() if kind == "bfloat16" else tensor
    np.testing.assert_array_equal(found, exact.numpy())


def test_an_array_that_was_read_can_be_changed(tmp_path):
    for kind, data in (("F32", b"\0" * 8), ("BF16", b"\0" * 4)):
        (tmp_path / "a").write_bytes(one_array(kind, [2], data))
        array = read_arrays(tmp_path / "a", "model")[0]["x"]
        array += 1
        assert array.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F4"])
def test_a_type_that_numpy_lacks_is_named_with_its_array(tmp_path, kind):
    (tmp_path / "a").write_bytes(one_array(kind, [4], b"\0" * 4))
    with pytest.raises(FileError) as caught:
        read_arrays(tmp_path / "a", "model")
    message = str(caught.value)
    assert f"array 'x' is of type '{kind}', which NumPy lacks" in message
    assert str(tmp_path / "a") in message


def test_sha256_is_the_standards():
    assert sha256(b"abc").startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize("cut", [1, 8, 100])
def test_a_truncated_file(tmp_path, cut):
    path = tmp_path / "a.safetensors"
    data = pack_arrays({"a": np.arange(50.0)})
    path.write_bytes(data[:-cut])
    with pytest.raises(FileError, match=r"my arrays .*a\.safetensors was truncated or altered"):
        read_arrays(path, "my arrays", sha256(data))
    with pytest.raises(FileError, match="is no valid safetensors file"):
        read_arrays(path, "my arrays")


def test_an_altered_file(tmp_path):
    path = tmp_path / "a.safetensors"
    data = pack_arrays({"a": np.arange(50.0)})
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(FileError, match="was truncated or altered"):
        read_arrays(path, "arrays", "")
    with pytest.raises(FileError) as caught:
        read_arrays(path, "arrays", sha256(data))
    message = str(caught.value)
    assert sha256(data) in message and sha256(path.read_bytes()) in message
    assert "Restore the file" in message


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x03\x04", b"{" * 40])
def test_what_is_no_safetensors_file(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileError, match="arrays .* is no valid safetensors file"):
        read_arrays(tmp_path / "a", "arrays")


def by_hand(size, **offsets):
    """A file with ``size`` bytes of arrays of two float32 each, at the given offsets."""
    entries = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": at} for name, at in offsets.items()
    }
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


@pytest.mark.parametrize(("content", "why"), [
    (by_hand(17, a=(0, 8), b=(8, 16)), "expected"), (by_hand(12, a=(4, 12)), "'a' of 8 bytes"),
    (by_hand(8, a=(0, 8), b=(0, 8)), "'b' of 8 bytes"), (by_hand(7, a=(0, 8)), "'a' of 8 bytes"),
], ids=["rest", "gap", "overlap", "short"])
def test_arrays_that_are_not_one_after_the_other(tmp_path, content, why):
    (tmp_path / "a").write_bytes(by_hand(16, a=(0, 8), b=(8, 16)))
    assert list(read_arrays(tmp_path / "a", "arrays")[0]) == ["a", "b"]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileError, match=rf"is no valid safetensors file \(.*{why}"):
        read_arrays(tmp_path / "a", "arrays")


def test_arrays_are_aligned_to_their_elements():
    data = pack_arrays({"a": np.ones(3, np.uint8), "b": np.ones(2, ">f8"), "c": np.ones(1, "<u2")})
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    for name, size in (("a", 1), ("b", 8), ("c", 2)):
        assert (start + header[name]["data_offsets"][0]) % size == 0


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(FileError, match=r"cannot read network .*none: No such file or directory"):
        read_bytes(tmp_path / "none", "network")
    with pytest.raises(FileError, match="cannot read network .*: Is a directory"):
        read_bytes(tmp_path, "network")
    with pytest.raises(FileError, match=r"cannot read network .*none"):
        read_arrays(tmp_path / "none", "network")


def test_an_atomic_write_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "f"
    for content in (b"one", b"two"):
        write_atomic(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError("no space left"), FileError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_interrupted_write_leaves_the_old_file_and_no_other(
    tmp_path, monkeypatch, function, error, expected
):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(files.os, function, fail)
    with pytest.raises(expected):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match=r"cannot write .*No such file or directory\. Name a file"):
        write_atomic(tmp_path / "none" / "f", b"new")


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(FileError, match=r"cannot write .*File name too long\. Name a file"):
        write_atomic(tmp_path / ("n" * 300), b"new")
    with pytest.raises(FileError, match=r"cannot create the thing .*File name too long"):
        new_directory(tmp_path / ("n" * 300), "thing")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, make):
    path = tmp_path / "f"
    make(path)
    before = path.stat()
    with pytest.raises(FileError, match=r"cannot write .*: (Is a dir|it is no regular file)"):
        write_atomic(path, b"new")
    assert path.stat() == before


def test_a_link_is_written_through(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(Path("folder") / "f")
    for content in (b"new", b"newer"):
        write_atomic(link, content)
        assert link.is_symlink() and (folder / "f").read_bytes() == content
    assert os.listdir(folder) == ["f"]


def test_a_directory_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)  # root may do all
    with pytest.raises(FileError, match=r"cannot write .*Permission denied\. Name a file"):
        writable(tmp_path / "f")


def test_the_file_appears_only_when_it_is_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "f", []
    replace = os.replace

    def watch(source, target):
        seen.append((path.exists(), Path(source).parent, Path(source).read_bytes()))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", watch)
    write_atomic(path, b"whole")
    assert seen == [(False, tmp_path, b"whole")]


def test_a_new_directory(tmp_path):
    path = new_directory(tmp_path / "a" / "b", "output directory")
    assert path.is_dir()
    assert new_directory(path, "output directory") == path  # empty: nothing can be lost
    (path / "f").write_text("mine")
    with pytest.raises(FileError, match=r"the output directory .*b exists; nothing was written"):
        new_directory(path, "output directory")
    with pytest.raises(FileError, match=r"output directory .*f exists"):
        new_directory(path / "f", "output directory")
    with pytest.raises(FileError, match=r"cannot create the output directory .*Not a directory"):
        new_directory(path / "f" / "g", "output directory")
    assert (path / "f").read_text() == "mine"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(bad):
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = bad
    with pytest.raises(FileError, match=rf"here: b\[1, 2\] is {bad}; expected a finite number"):
        require_finite({"a": np.zeros(3), "n": np.array([1]), "b": array}, "here")
    with pytest.raises(FileError, match=r"b\[\] is"):
        require_finite({"b": np.array(bad)}, "here")
    with pytest.raises(FileError, match=r"b\[1\] is"):
        require_finite({"b": np.array([0, complex(0, bad)])}, "here")


# Permissions, and what a kill leaves behind.

@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_what_the_umask_leaves(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "f", b"new")
        with whole_directory(tmp_path / "d", "thing") as directory:
            write_atomic(directory / "f", b"new")
    finally:
        os.umask(before)
    for path in (tmp_path / "f", tmp_path / "d" / "f"):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == mode


def left(directory, name="f", token="0123456789ab"):
    """What a killed write of ``name`` leaves."""
    path = directory / f".{name}.{token}.part"
    path.write_bytes(b"half")
    return path


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in (".f.part", "f.0123456789ab.part", ".f.0123456789aX.part")]
    for path in kept:
        path.write_bytes(b"mine")
    others, own = left(tmp_path, "g"), left(tmp_path)
    folder = tmp_path / ".f.ba9876543210.part"
    (folder / "below").mkdir(parents=True)
    writable(tmp_path / "f")
    assert not own.exists() and not folder.exists() and others.exists()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_what_another_process_is_writing_is_no_leftover(tmp_path):
    temporary, handle = files._temporary(tmp_path / "f")
    remove_leftovers(tmp_path)
    assert temporary.exists()
    os.close(handle)
    remove_leftovers(tmp_path)
    assert not temporary.exists()


def test_a_directory_of_leftovers_is_new(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert is_new(out) and is_new(tmp_path / "none") and not was_cut_short(out)
    left(out)
    assert is_new(out) and was_cut_short(out)
    assert new_directory(out, "thing") == out and not list(out.iterdir())
    (out / "f").write_text("")
    left(out)
    assert not is_new(out) and not was_cut_short(out)


def test_a_directory_is_there_as_a_whole_or_not_at_all(tmp_path):
    out = tmp_path / "a" / "out"
    with whole_directory(out, "thing") as parts:
        write_atomic(parts / "f", b"new")
        assert not out.exists() and was_cut_short(out)
    assert [p.name for p in out.iterdir()] == ["f"] and list(out.parent.iterdir()) == [out]
    with pytest.raises(FileError, match="the thing .*out exists; nothing was written"), \
            whole_directory(out, "thing"):
        pytest.fail("not reached")
    with pytest.raises(KeyboardInterrupt), whole_directory(tmp_path / "other", "thing"):
        raise KeyboardInterrupt
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_a_directory_that_cannot_be_replaced_is_written_into(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: True)
    with whole_directory(out, "thing") as parts:
        assert parts == out


def test_a_killed_start_of_a_directory_is_removed_at_the_next(tmp_path):
    (tmp_path / ".out.0123456789ab.part").mkdir()
    with whole_directory(tmp_path / "out", "thing") as parts:
        assert [p for p in tmp_path.iterdir() if p != parts] == []


def test_an_array_file_that_holds_its_own_digest(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(seal_arrays({"a": np.arange(3)}, {"b": "c"}))
    arrays, metadata = read_sealed(path, "thing", "Do so.")
    assert arrays["a"].tolist() == [0, 1, 2] and metadata == {"b": "c"}
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(FileError):
            read_sealed(path, "thing", "Do so.")
    path.write_bytes(pack_arrays({"a": np.arange(3)}))
    with pytest.raises(FileError, match=r"thing .*f was altered: its SHA-256 .*\. Do so\."):
        read_sealed(path, "thing", "Do so.")


def test_errors_are_the_projects_own():
    assert issubclass(FileError, SnnSsmError)
