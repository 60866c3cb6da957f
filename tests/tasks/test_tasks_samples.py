"""Samples of a user's own file, and folders that cannot be made: refused before they do harm."""

import io
from dataclasses import replace

import numpy as np
import pytest
from support.files import save_splits

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import (
    DataError,
    Samples,
    dashed_paths,
    listops,
    load_samples,
    mnist,
    read_samples,
)
from snn_ssm.tasks.base import read_npz
from snn_ssm.tasks.pathfinder import PATHFINDER

INPUTS, LABELS = np.arange(24.0).reshape(4, 2, 3), np.arange(4)


def refusal(path, **arrays):
    """The message that refuses a file of these arrays instead of INPUTS and LABELS."""
    np.savez(path, **({"inputs": INPUTS, "labels": LABELS} | arrays))
    with pytest.raises(DataError) as caught:
        read_samples(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.endswith("again.")
    return message


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 2, 0)])
def test_a_file_without_samples_or_steps(tmp_path, shape):
    message = refusal(tmp_path / "s.npz", inputs=np.zeros(shape), labels=np.zeros(shape[0], int))
    assert f"holds no samples: inputs have shape {shape}" in message


@pytest.mark.parametrize("name", ["length", "mask", "weights"])
def test_an_array_of_which_nothing_is_known(tmp_path, name):
    # Else the padding of samples of such lengths would enter their means without a word.
    message = refusal(tmp_path / "s.npz", **{name: np.array([3, 2, 3, 1])})
    assert f"it also holds {name}, of which nothing is known here" in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1j])
def test_inputs_that_are_no_finite_numbers(tmp_path, bad):
    inputs = INPUTS + np.where(INPUTS == 7, bad, 0)
    message = refusal(tmp_path / "s.npz", inputs=inputs)
    assert f"inputs, of type {inputs.dtype}, are not all finite numbers" in message


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (LABELS + 0.5, "they are float64"),
        (LABELS.astype(str), "they are <U21"),
        (LABELS - 1, "the least is -1"),
    ],
)
def test_labels_that_are_no_classes(tmp_path, labels, found):
    message = refusal(tmp_path / "s.npz", labels=labels)
    assert f"labels are integers from 0 on, but {found}." in message


@pytest.mark.parametrize("kind", ["?", "u1", "<u2", ">u2", ">i8", "<f2", ">f4"])
def test_numbers_of_any_kind_are_in_the_machines_order(tmp_path, kind):
    path = tmp_path / "s.npz"
    np.savez(path, inputs=INPUTS.astype(kind), labels=LABELS.astype(">u2"))
    found = read_samples(path)
    assert found.inputs.dtype.isnative and found.labels.dtype.isnative
    assert (found.inputs == INPUTS.astype(kind)).all() and (found.labels == LABELS).all()


def test_samples_of_another_length_than_the_tasks(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, inputs=INPUTS, labels=LABELS)
    with pytest.raises(DataError, match=r"have 3 steps, but task.steps is 784. Correct the"):
        load_samples(path, "test", TaskConfig())


def test_a_file_is_all_of_either_split(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, inputs=INPUTS, labels=LABELS)
    one, two = (load_samples(path, split, TaskConfig(steps=3)) for split in ("train", "test"))
    assert (one.inputs == two.inputs).all() and one.source == two.source == "s.npz"


def test_own_samples_of_both_splits(tmp_path):
    save_splits(tmp_path, inputs=INPUTS, labels=LABELS)
    np.savez(tmp_path / "test.npz", inputs=INPUTS[:1] + 1, labels=LABELS[:1])
    task = TaskConfig(steps=3)
    train, test = (load_samples(tmp_path, split, task) for split in ("train", "test"))
    assert (train.inputs == INPUTS).all() and (train.labels == LABELS).all()
    assert (test.inputs == INPUTS[:1] + 1).all() and len(test) == 1
    assert train.source == f"{tmp_path.name}/train.npz"
    assert test.source == f"{tmp_path.name}/test.npz"
    one = load_samples(tmp_path, "train", replace(task, train_samples=1))
    assert len(one) == 1 and one.labels[0] in LABELS
    with pytest.raises(DataError, match=f"train_samples is 9, but 'smnist' has {len(LABELS)}"):
        load_samples(tmp_path, "train", replace(task, train_samples=9))
    (tmp_path / "test.npz").unlink()
    with pytest.raises(DataError, match=r"has a train\.npz but no test\.npz; expected both\. Add"):
        load_samples(tmp_path, "test", task)


def test_a_digest_is_of_types_shapes_and_values():
    samples = Samples(INPUTS, LABELS)
    others = [
        Samples(INPUTS + 1, LABELS),
        Samples(INPUTS.astype(np.float32), LABELS),
        Samples(INPUTS.reshape(len(LABELS), 3, -1), LABELS),
        Samples(INPUTS, LABELS[::-1].copy()),
    ]
    digests = {s.digest() for s in [samples, *others]}
    assert len(digests) == 5
    assert Samples(INPUTS[::-1][::-1], LABELS.copy()).digest() == samples.digest()


def encrypted(content):
    """The archive with the flag of encryption on its members, of which NumPy knows nothing."""
    data = bytearray(content)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(signature) + offset] |= 1
    return bytes(data)


def test_a_damaged_archive_is_refused_whatever_it_raises(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, a=LABELS)
    lone = io.BytesIO()
    np.save(lone, LABELS)
    path = tmp_path / "a.npz"
    for content in (encrypted(stream.getvalue()), lone.getvalue()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz cannot be read as things \("):
            read_npz(path, "things", {"a": "(A,)"})


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path, monkeypatch):
    def generate(*_):
        raise AssertionError("generated for nothing")

    monkeypatch.setattr(listops, "generate", generate)
    monkeypatch.setattr(dashed_paths, "generate", generate)
    monkeypatch.setattr(mnist, "_fetch", generate)
    data = tmp_path / "file"
    data.touch()
    for task in (listops.LISTOPS, PATHFINDER, mnist.SMNIST):
        with pytest.raises(DataError, match=r"file.* cannot be made \(.*nothing was fetched or"):
            task.download(data)
