"""Tasks: idx files, the download's checksums, the permutation, and what all tasks share."""

import gzip
import hashlib
import io
import struct
import urllib.error

import numpy as np
import pytest
from support.files import write_idx

from pynn_models import SnnSsmError
from snn_ssm import tasks
from snn_ssm.config import TaskConfig, dumps, loads
from snn_ssm.tasks import DataError, Samples, get_task, load_samples, read_samples
from snn_ssm.tasks import mnist as task
from snn_ssm.tasks.base import arranged, data_directory, locate, order, read_npz
from snn_ssm.tasks.mnist import PSMNIST, SMNIST, IdxFile, find, read_idx

SHAPE = (5, 3, 2)
COUNTS = {"train": 7, "test": 4}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A data set of the same format with few samples: (directory, arrays, contents) by split."""
    rng = np.random.default_rng(1)
    files, arrays, contents = {}, {}, {}
    for split, count in COUNTS.items():
        pair = []
        for old, shape in zip(task.FILES[split], [(count, 28, 28), (count,)], strict=True):
            top = 256 if len(shape) == 3 else 10
            array = rng.integers(0, top, shape).astype(np.uint8)
            content = write_idx(tmp_path / "made.gz", array)
            contents[old.name] = (tmp_path / "made.gz").read_bytes()
            pair.append(IdxFile(old.name, shape, hashlib.sha256(content).hexdigest()))
            arrays.setdefault(split, []).append(array)
        files[split] = tuple(pair)
    (tmp_path / "made.gz").unlink()
    monkeypatch.setattr(task, "FILES", files)
    return tmp_path / "data", arrays, contents


def put(directory, contents):
    directory.mkdir(parents=True, exist_ok=True)
    for name, packed in contents.items():
        (directory / f"{name}.gz").write_bytes(packed)


@pytest.mark.parametrize("name", ["f.gz", "f"])
def test_an_idx_file_is_read(tmp_path, images, name):
    write_idx(tmp_path / name, images)
    found = read_idx(tmp_path / name, SHAPE)
    assert found.dtype == np.uint8 and (found == images).all()


@pytest.mark.parametrize("cut", [1, 4, 20])
def test_a_truncated_gzip_file(tmp_path, images, cut):
    path = tmp_path / "f.gz"
    write_idx(path, images)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"f\.gz cannot be read \(.*\)\. Fetch the file again"):
        read_idx(path, SHAPE)


def test_a_corrupted_gzip_file(tmp_path, images):
    path = tmp_path / "f.gz"
    write_idx(path, images)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"f\.gz cannot be read"):
        read_idx(path, SHAPE)


@pytest.mark.parametrize("content", [b"", b"not a gzip file", b"<html>404</html>"])
def test_what_is_no_gzip_file(tmp_path, content):
    (tmp_path / "f.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"f\.gz (cannot be read|is no idx file)"):
        read_idx(tmp_path / "f.gz", SHAPE)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none cannot be read \(.*No such file"):
        read_idx(tmp_path / "none", SHAPE)


@pytest.mark.parametrize("shape", [(4, 3, 2), (6, 3, 2), (5, 2, 3), (30,), (5, 6)])
def test_an_idx_file_of_another_shape(tmp_path, images, shape):
    write_idx(tmp_path / "f.gz", images)
    with pytest.raises(DataError) as caught:
        read_idx(tmp_path / "f.gz", shape)
    message = str(caught.value)
    header = 4 + 4 * len(shape)
    assert f"is no idx file of shape {shape}: it has 46 bytes" in message
    assert f"expected {header + int(np.prod(shape))} starting with the header" in message


@pytest.mark.parametrize("magic", [0x0802, 0x0B03, 0x0903, 0xFFFF])
def test_an_idx_file_of_another_type(tmp_path, images, magic):
    content = struct.pack(">I3I", magic, *SHAPE) + images.tobytes()
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match="starting with the header 00000803"):
        read_idx(tmp_path / "f", SHAPE)


@pytest.mark.parametrize("extra", [-1, 1])
def test_an_idx_file_of_another_size(tmp_path, images, extra):
    content = write_idx(tmp_path / "f", images)
    (tmp_path / "f").write_bytes(content[:extra] if extra < 0 else content + b"\0")
    with pytest.raises(DataError, match=f"it has {46 + extra} bytes, expected 46"):
        read_idx(tmp_path / "f", SHAPE)


@pytest.mark.parametrize("folder", ["", "mnist"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_samples_are_pixels_in_their_order(small, folder, split):
    data, arrays, contents = small
    put(data / folder, contents)
    samples = SMNIST.load(data, split, TaskConfig())
    images, labels = arrays[split]
    assert samples.inputs.shape == (COUNTS[split], 1, 784) and samples.inputs.dtype == np.uint8
    assert (samples.inputs[:, 0].reshape(-1, 28, 28) == images).all()
    assert (samples.labels == labels).all() and samples.labels.dtype == np.int64
    assert len(samples) == COUNTS[split] and len(samples.head(2)) == 2
    assert len(samples.head(None)) == COUNTS[split]


def test_the_permutation_is_in_the_configuration_and_applied(small):
    data, _, contents = small
    put(data, contents)
    config = PSMNIST.config()
    mixed = config.task.permutation
    assert config.task.name == "psmnist" and sorted(mixed) == list(range(784))
    assert mixed != tuple(range(784)) and mixed == PSMNIST.config().task.permutation
    assert loads(dumps(config)).task.permutation == mixed
    natural = SMNIST.load(data, "test", SMNIST.config().task)
    permuted = PSMNIST.load(data, "test", config.task)
    for k in (0, 1, 400, 783):
        assert (permuted.inputs[:, 0, k] == natural.inputs[:, 0, mixed[k]]).all()
    assert (permuted.labels == natural.labels).all()


def test_it_is_the_configurations_permutation_that_counts(small):
    data, _, contents = small
    put(data, contents)
    backwards = TaskConfig("psmnist", 784, tuple(range(783, -1, -1)))
    natural = SMNIST.load(data, "test", TaskConfig())
    found = PSMNIST.load(data, "test", backwards)
    assert (found.inputs == natural.inputs[..., ::-1]).all()


def test_missing_data_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataError) as caught:
        SMNIST.load(tmp_path, "test", TaskConfig())
    message = str(caught.value)
    assert "t10k-images-idx3-ubyte.gz" in message
    assert f"neither {tmp_path} nor {tmp_path / 'mnist'}" in message
    assert f"--download --data {tmp_path}" in message


def serve(monkeypatch, contents):
    """Answer downloads from memory; returns the list of what was asked for."""
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        name = url.rsplit("/", 1)[1].removesuffix(".gz")
        if name not in contents:
            raise urllib.error.URLError("no route to host")
        return io.BytesIO(contents[name])

    monkeypatch.setattr(task.urllib.request, "urlopen", urlopen)
    return asked


def test_a_download_fetches_what_is_missing(small, monkeypatch):
    data, arrays, contents = small
    asked = serve(monkeypatch, contents)
    SMNIST.download(data)
    assert len(asked) == 4 and all(url.startswith("https://") for url in asked)
    assert (SMNIST.load(data, "test", TaskConfig()).labels == arrays["test"][1]).all()
    SMNIST.download(data)
    (data / "train-labels-idx1-ubyte.gz").unlink()
    SMNIST.download(data)
    assert [url.rsplit("/", 1)[1] for url in asked[4:]] == ["train-labels-idx1-ubyte.gz"]


def test_a_download_of_another_content_is_refused_and_not_written(small, monkeypatch):
    data, _, contents = small
    name = "train-images-idx3-ubyte"
    altered = bytearray(gzip.decompress(contents[name]))
    altered[100] ^= 1
    serve(monkeypatch, contents | {name: gzip.compress(bytes(altered))})
    with pytest.raises(DataError) as caught:
        SMNIST.download(data)
    message = str(caught.value)
    assert hashlib.sha256(bytes(altered)).hexdigest() in message
    assert task.FILES["train"][0].digest in message and "nothing was written" in message
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("packed", [b"", b"<html>", None])
def test_a_download_that_fails(small, monkeypatch, packed):
    data, _, contents = small
    name = "train-images-idx3-ubyte"
    rest = {k: v for k, v in contents.items() if k != name}
    serve(monkeypatch, rest if packed is None else rest | {name: packed})
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz"):
        SMNIST.download(data)
    assert list(data.iterdir()) == []


def test_the_real_files_are_the_standard_ones():
    assert [f.shape for split in ("train", "test") for f in task.FILES[split]] == [
        (60000, 28, 28), (60000,), (10000, 28, 28), (10000,),
    ]
    digests = {f.digest for split in ("train", "test") for f in task.FILES[split]}
    assert len(digests) == 4 and all(len(d) == 64 for d in digests)


def test_the_data_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("SNN_SSM_DATA", raising=False)
    with pytest.raises(DataError, match=r"no data directory: give --data .* \$SNN_SSM_DATA"):
        data_directory(None)
    monkeypatch.setenv("SNN_SSM_DATA", "")
    with pytest.raises(DataError, match="no data directory"):
        data_directory(None)
    monkeypatch.setenv("SNN_SSM_DATA", str(tmp_path))
    assert data_directory(None) == tmp_path
    assert data_directory(tmp_path / "mine") == tmp_path / "mine"


def test_an_unknown_task_is_named_with_the_known_ones():
    with pytest.raises(DataError, match="unknown task 'mnist'; known: smnist, psmnist"):
        get_task("mnist")
    for name, found in tasks.TASKS.items():
        assert get_task(name) is found and found.config().task.name == name == found.name


def test_samples_of_a_file(tmp_path):
    path = tmp_path / "s.npz"
    inputs, labels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3), np.arange(4, dtype=np.uint8)
    np.savez(path, inputs=inputs, labels=labels)
    for found in (read_samples(path), load_samples(path, "test", TaskConfig(steps=3))):
        assert isinstance(found, Samples) and found.labels.dtype == np.int64
        assert found.source == "s.npz"
        assert (found.inputs == inputs).all() and (found.labels == labels).all()


def test_load_samples_of_a_directory(small):
    data, arrays, contents = small
    put(data, contents)
    assert (load_samples(data, "train", TaskConfig()).labels == arrays["train"][1]).all()


@pytest.mark.parametrize("arrays", [
    {"inputs": np.zeros((4, 2, 3))},
    {"inputs": np.zeros((4, 2)), "labels": np.zeros(4, int)},
    {"inputs": np.zeros((4, 2, 3)), "labels": np.zeros(5, int)},
    {"inputs": np.array([None] * 4), "labels": np.zeros(4, int)},
], ids=["no labels", "two axes", "counts differ", "pickled"])
def test_a_file_of_samples_that_does_not_fit(tmp_path, arrays):
    path = tmp_path / "s.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"s\.npz.*expected "):
        read_samples(path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04 cut short"])
def test_what_is_no_file_of_samples(tmp_path, content):
    path = tmp_path / "s.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"s\.npz cannot be read as samples"):
        read_samples(path)
    with pytest.raises(DataError, match=r"none\.npz cannot be read as samples"):
        read_samples(tmp_path / "none.npz")


def test_finding_a_file_prefers_the_directory_itself(tmp_path):
    file = IdxFile("f", (1,), "")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "f.gz").touch()
    assert find(tmp_path, file) == tmp_path / "mnist" / "f.gz"
    (tmp_path / "f").touch()
    assert find(tmp_path, file) == tmp_path / "f"


def test_a_part_of_the_training_images(small):
    data, _, contents = small
    put(data, contents)
    whole = SMNIST.load(data, "train", TaskConfig())
    part = SMNIST.load(data, "train", TaskConfig(train_samples=4))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in part.inputs]
    assert len(set(rows)) == 4 and (part.labels == whole.labels[rows]).all()
    assert len(SMNIST.load(data, "test", TaskConfig(train_samples=4))) == COUNTS["test"]


# What all tasks share


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_samples_are_in_their_natural_order(split):
    assert order(9, split, TaskConfig()).tolist() == list(range(9))


def test_a_part_is_the_start_of_one_shuffled_order():
    everything = order(50, "train", TaskConfig(train_samples=50)).tolist()
    assert sorted(everything) == list(range(50)) and everything != sorted(everything)
    for count in (1, 7, 49):
        found = order(50, "train", TaskConfig(train_samples=count)).tolist()
        assert found == everything[:count]
    assert order(50, "test", TaskConfig(train_samples=7)).tolist() == list(range(50))


def test_sorted_data_are_mixed_in_that_order_too():
    everything = order(50, "train", TaskConfig(train_samples=50)).tolist()
    for split in ("train", "test"):
        assert order(50, split, TaskConfig(), mixed=True).tolist() == everything
    part = order(50, "train", TaskConfig(train_samples=7), mixed=True).tolist()
    assert part == everything[:7]
    assert order(50, "test", TaskConfig(train_samples=7), mixed=True).tolist() == everything


def test_more_samples_than_there_are():
    with pytest.raises(DataError) as caught:
        order(9, "train", TaskConfig(train_samples=10))
    message = str(caught.value)
    assert "task.train_samples is 10, but 'smnist' has 9 training samples" in message
    assert "Lower it, or set it to 0 for all" in message
    for split in ("val", "test"):
        assert len(order(9, split, TaskConfig(train_samples=10))) == 9


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_samples(split):
    with pytest.raises(DataError, match=f"task 'smnist' has no {split} samples; expected one"):
        order(0, split, TaskConfig())


def test_steps_are_arranged_by_the_permutation():
    inputs = np.arange(12).reshape(2, 2, 3)
    found = arranged(inputs, np.array([1, 0], np.uint8), TaskConfig("t", 3, (2, 0, 1)), 2)
    assert (found.inputs == inputs[..., [2, 0, 1]]).all()
    assert found.labels.tolist() == [1, 0] and found.labels.dtype == np.int64
    plain = arranged(inputs, np.array([1, 0]), TaskConfig("t", 3), 2)
    assert (plain.inputs == inputs).all()


@pytest.mark.parametrize("steps", [2, 4])
def test_samples_of_another_length(steps):
    with pytest.raises(DataError) as caught:
        arranged(np.zeros((2, 1, 3)), np.zeros(2), TaskConfig("t", steps), 2)
    message = str(caught.value)
    assert f"samples of task 't' have 3 steps, but task.steps is {steps}. Correct the" in message


@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_a_label_of_no_class(wrong):
    labels = np.array([0, 2, wrong, wrong])
    with pytest.raises(DataError) as caught:
        arranged(np.zeros((4, 1, 3)), labels, TaskConfig("t", 3), 3)
    assert f"sample 2 of task 't' has the label {wrong}; expected 0 to 2" in str(caught.value)


def test_a_place_is_the_directory_or_the_tasks_folder_in_it(tmp_path):
    assert locate(tmp_path, "folder", "name") is None
    (tmp_path / "folder" / "name").mkdir(parents=True)
    assert locate(tmp_path, "folder", "name") == tmp_path / "folder" / "name"
    (tmp_path / "name").touch()
    assert locate(tmp_path, "folder", "name") == tmp_path / "name"


def test_named_arrays_of_a_file(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, one=np.arange(3), two=np.zeros(2), three=np.array([None]))
    found = read_npz(path, "things", {"one": "(A,)", "two": "(B,)"})
    assert list(found) == ["one", "two"] and found["one"].tolist() == [0, 1, 2]
    for name in ("three", "four"):
        with pytest.raises(DataError) as caught:
            read_npz(path, "things", {"one": "(A,)", name: "(C,)"})
        message = str(caught.value)
        assert message.startswith(f"{path} cannot be read as things (")
        assert f"expected an .npz file with one (A,), {name} (C,)" in message


def test_errors_are_the_projects_own():
    assert issubclass(DataError, SnnSsmError)
