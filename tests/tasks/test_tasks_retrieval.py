"""Retrieval: pairs of texts from tab-separated lines, their halves, order and errors."""

import numpy as np
import pytest

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.retrieval import FILES, RETRIEVAL, read_line

PAIRS = [
    (1, "short", "a longer text"),
    (0, "", "é"),
    (1, "a text with\\ttab names and 'quotes'", "b'bytes'"),
    (0, "x" * 40, "y"),
    (0, "one", "two"),
    (1, "three", "four"),
]


def write(path, pairs, end="\n", label="{}.0"):
    """A file as Long Range Arena has it: the label is a float, no header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{label.format(value)}\tP{i}\tQ{i}\t{one}\t{two}" for i, (value, one, two) in
        enumerate(pairs)
    ]
    path.write_bytes("".join(line + end for line in lines).encode())


def halves(pairs, half):
    return [
        one.encode()[:half].ljust(half, b"\0") + two.encode()[:half].ljust(half, b"\0")
        for _, one, two in pairs
    ]


@pytest.fixture
def data(tmp_path):
    for i, name in enumerate(FILES.values()):
        write(tmp_path / "retrieval" / name, PAIRS[i:])
    return tmp_path


@pytest.mark.parametrize(("split", "first"), [("train", 0), ("val", 1), ("test", 2)])
@pytest.mark.parametrize("steps", [2, 12, 100])
def test_a_sample_is_one_text_after_the_other(data, split, first, steps):
    RETRIEVAL.download(data)
    samples = load_samples(data, split, TaskConfig("retrieval", steps))
    assert samples.inputs.shape == (len(PAIRS) - first, 1, steps)
    assert samples.inputs.dtype == np.uint8 and samples.labels.dtype == np.int64
    assert [row.tobytes() for row in samples.inputs[:, 0]] == halves(PAIRS[first:], steps // 2)
    assert samples.labels.tolist() == [label for label, _, _ in PAIRS[first:]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("label", ["{}", "{}.0"])
def test_labels_and_line_ends_in_either_form(tmp_path, end, label):
    write(tmp_path / FILES["test"], PAIRS, end, label)
    samples = RETRIEVAL.load(tmp_path, "test", TaskConfig("retrieval", 60))
    assert [row.tobytes() for row in samples.inputs[:, 0]] == halves(PAIRS, 30)
    assert samples.labels.tolist() == [label for label, _, _ in PAIRS]


def test_a_tab_in_the_second_text_belongs_to_it():
    assert read_line(b"1.0\tP\tQ\tone\ttwo\tthree\n", 100) == (1, b"one", b"two\tthree")
    assert read_line(b"0\tP\tQ\tone\ttwo", 2) == (0, b"on", b"tw")


def test_spaces_belong_to_the_texts():
    assert read_line(b"0\tP\tQ\t one \t two \r\n", 100) == (0, b" one ", b" two ")


def test_a_part_of_the_training_pairs_is_of_one_order(data):
    whole = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80))
    part = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80, train_samples=3))
    more = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80, train_samples=5))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in more.inputs]
    assert len(set(rows)) == 5 and rows != sorted(rows)
    assert (more.labels == whole.labels[rows]).all()
    assert (part.inputs == more.inputs[:3]).all() and (part.labels == more.labels[:3]).all()
    assert len(RETRIEVAL.load(data, "test", TaskConfig("retrieval", 80, train_samples=3))) == 4


@pytest.mark.parametrize(("line", "why"), [
    ("1.0\tP\tQ\tone text", "it has 4 fields"), ("", "it has 1 fields"),
    ("2.0\tP\tQ\tone\ttwo", "its label is 2"), ("nan\tP\tQ\tone\ttwo", "its label is nan"),
    ("0.5\tP\tQ\tone\ttwo", "its label is 0.5"), ("yes\tP\tQ\tone\ttwo", "could not convert"),
])
def test_a_line_that_is_no_pair(tmp_path, line, why):
    path = tmp_path / FILES["test"]
    path.write_text(f"1.0\tP\tQ\tone\ttwo\n{line}\n")
    with pytest.raises(DataError) as caught:
        RETRIEVAL.load(tmp_path, "test", TaskConfig("retrieval", 8))
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: {why}")
    assert "a label 0 or 1, two identifiers and two texts, parted by tabs" in message


def test_a_line_that_is_not_asked_for_is_not_read(data):
    path = data / "retrieval" / FILES["train"]
    whole = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80))
    part = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80, train_samples=1))
    row = int(np.flatnonzero((whole.inputs == part.inputs[0]).all((1, 2)))[0])
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(line if i == row else b"junk" for i, line in enumerate(lines)))
    again = RETRIEVAL.load(data, "train", TaskConfig("retrieval", 80, train_samples=1))
    assert (again.inputs == part.inputs).all()


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / FILES["test"]).touch()
    with pytest.raises(DataError, match="task 'retrieval' has no test samples; expected one"):
        RETRIEVAL.load(tmp_path, "test", TaskConfig("retrieval", 8))


def test_an_odd_number_of_steps_is_refused(data):
    with pytest.raises(DataError, match=r"task\.steps is 7; expected an even number: half of the"):
        RETRIEVAL.load(data, "test", TaskConfig("retrieval", 7))


def test_more_pairs_than_there_are(data):
    with pytest.raises(DataError, match="is 7, but 'retrieval' has 6 training samples. Lower it"):
        RETRIEVAL.load(data, "train", TaskConfig("retrieval", 8, train_samples=7))


@pytest.mark.parametrize("split", FILES)
def test_missing_pairs_say_where_they_are_to_be_had(tmp_path, split):
    with pytest.raises(DataError) as caught:
        RETRIEVAL.load(tmp_path, split, TaskConfig("retrieval", 8))
    message = str(caught.value)
    assert f"{FILES[split]} is in neither {tmp_path} nor {tmp_path / 'retrieval'}" in message
    assert "tsv_data" in message and "lra_release.gz" in message


def test_a_download_checks_every_split(data):
    (data / "retrieval" / FILES["val"]).unlink()
    with pytest.raises(DataError, match=r"new_aan_pairs\.eval\.tsv is in neither .*not downloaded"):
        RETRIEVAL.download(data)
