"""Image and Text: both formats of each, their order, and what is wrong with a file."""

import builtins
import io
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks import image as image_task
from snn_ssm.tasks.image import IMAGE, greyscale, read_batch
from snn_ssm.tasks.pictures import decode
from snn_ssm.tasks.ragged import join, read_packed, read_ragged, write_ragged
from snn_ssm.tasks.text import TEXT, read_folder

PICTURES = TaskConfig("image", 1024)
LENGTHS = {"train": 7, "test": 4}


def encoded(picture, kind="JPEG"):
    stream = io.BytesIO()
    Pillow.fromarray(picture).save(stream, kind)
    return stream.getvalue()


def pack(directory, stem, items, label, labels):
    """The packed form: all bytes in one lzma file, their offsets and labels in an index."""
    directory.mkdir(parents=True, exist_ok=True)
    content, index = stem
    (directory / content).write_bytes(lzma.compress(b"".join(items)))
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])])
    np.savez(directory / index, offsets=offsets, **{label: np.array(labels)})


# Image: the official binary batches


def test_the_official_files_are_all_six():
    assert image_task.BATCHES == {
        "train": (
            "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
            "data_batch_5.bin",
        ),
        "test": ("test_batch.bin",),
    }


@pytest.fixture
def official(tmp_path):
    """Six official files of three colour pictures each: (directory, colours, labels) by split."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    colours, labels = {}, {}
    for split, names in image_task.BATCHES.items():
        planes = rng.integers(0, 256, (3 * len(names), 3, 32, 32)).astype(np.uint8)
        classes = rng.integers(0, 10, len(planes)).astype(np.uint8)
        for i, name in enumerate(names):
            rows = range(3 * i, 3 * i + 3)
            content = b"".join(bytes([classes[row]]) + planes[row].tobytes() for row in rows)
            (folder / name).write_bytes(content)
        colours[split], labels[split] = planes, classes
    return tmp_path, colours, labels


def grey_of(planes):
    """By Pillow: planes (3, 32, 32) -> (32, 32)."""
    return np.asarray(Pillow.fromarray(planes.transpose(1, 2, 0)).convert("L"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_official_pictures_are_grey_pixels_row_by_row(official, split):
    data, colours, labels = official
    samples = IMAGE.load(data, split, PICTURES)
    expected = np.stack([grey_of(planes).reshape(-1) for planes in colours[split]])
    assert samples.inputs.shape == (len(expected), 1, 1024) and samples.inputs.dtype == np.uint8
    assert (samples.inputs[:, 0] == expected).all()
    assert (samples.labels == labels[split]).all() and samples.labels.dtype == np.int64


def test_official_files_are_found_in_the_tasks_folder_and_nothing_is_fetched(official):
    data, _, _ = official
    (data / "cifar10").mkdir()
    (data / "cifar-10-batches-bin").rename(data / "cifar10" / "cifar-10-batches-bin")
    IMAGE.download(data)
    assert len(load_samples(data, "test", PICTURES)) == 3


def test_a_part_of_the_training_pictures(official):
    data, _, _ = official
    whole = IMAGE.load(data, "train", PICTURES)
    part = IMAGE.load(data, "train", TaskConfig("image", 1024, train_samples=4))
    more = IMAGE.load(data, "train", TaskConfig("image", 1024, train_samples=9))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in more.inputs]
    assert len(set(rows)) == 9 and rows != sorted(rows)
    assert (part.inputs == more.inputs[:4]).all() and (more.labels == whole.labels[rows]).all()
    assert len(IMAGE.load(data, "test", TaskConfig("image", 1024, train_samples=4))) == 3


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
def test_grey_is_pillows_luma(pixels):
    colours = np.array(pixels, np.uint8)  # (L, 3)
    expected = np.asarray(Pillow.fromarray(colours[None]).convert("L"))[0]
    assert (greyscale(colours.T[None])[0] == expected).all()


@pytest.mark.parametrize("size", [0, 3072, 3074, 2 * 3073 - 1])
def test_an_official_file_of_another_size(official, size):
    path = official[0] / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(DataError) as caught:
        read_batch(path)
    message = str(caught.value)
    assert f"{path} has {size} bytes; expected a multiple of 3073" in message
    assert "Fetch the archive again" in message


def test_an_official_file_that_is_missing(official):
    data, _, _ = official
    (data / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin cannot be read \(.*No such file"):
        IMAGE.load(data, "train", PICTURES)


def test_an_official_label_that_no_class_has(official):
    data, _, _ = official
    path = data / "cifar-10-batches-bin" / "test_batch.bin"
    content = bytearray(path.read_bytes())
    content[3073] = 10
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="sample 1 of task 'image' has the label 10; expected 0 to"):
        IMAGE.load(data, "test", PICTURES)


def test_the_wrong_number_of_steps_for_a_picture(official):
    with pytest.raises(DataError, match="'image' have 1024 steps, but task.steps is 784"):
        IMAGE.load(official[0], "test", TaskConfig("image", 784))


# Image: the packed JPEG form


@pytest.fixture
def packed(tmp_path):
    """Packed JPEG pictures, grey and coloured: (directory, encoded items, labels) by split."""
    rng = np.random.default_rng(1)
    items, labels = {}, {}
    for split, count in LENGTHS.items():
        shapes = [(32, 32, 3) if i % 2 else (32, 32) for i in range(count)]
        items[split] = [encoded(rng.integers(0, 256, s).astype(np.uint8)) for s in shapes]
        labels[split] = rng.integers(0, 10, count)
        stem = f"cifar10_jpeg_{split}"
        names = (f"{stem}.bin.xz", f"{stem}_index.npz")
        pack(tmp_path / "cifar10", names, items[split], "y", labels[split])
    return tmp_path, items, labels


@pytest.mark.parametrize("split", ["train", "test"])
def test_packed_pictures_are_what_pillow_decodes(packed, split):
    data, items, labels = packed
    IMAGE.download(data)
    samples = IMAGE.load(data, split, PICTURES)
    expected = [
        np.asarray(Pillow.open(io.BytesIO(item)).convert("L")).reshape(1, -1)
        for item in items[split]
    ]
    assert (samples.inputs == np.stack(expected)).all() and samples.inputs.dtype == np.uint8
    assert (samples.labels == labels[split]).all()
    assert samples.source == samples.head(1).source == "JPEG CIFAR"


def test_a_part_of_the_packed_pictures_is_of_the_same_order(packed):
    data, _, _ = packed
    whole = IMAGE.load(data, "train", PICTURES)
    part = IMAGE.load(data, "train", TaskConfig("image", 1024, train_samples=7))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in part.inputs]
    assert sorted(rows) == list(range(7)) and (part.labels == whole.labels[rows]).all()


def test_the_official_files_come_first(official):
    data, colours, _ = official
    names = ("cifar10_jpeg_test.bin.xz", "cifar10_jpeg_test_index.npz")
    pack(data, names, [encoded(np.zeros((32, 32), np.uint8))], "y", [0])
    samples = IMAGE.load(data, "test", PICTURES)
    assert len(samples) == len(colours["test"]) and samples.source == ""


def test_packed_pictures_need_their_index(packed):
    data, _, _ = packed
    (data / "cifar10" / "cifar10_jpeg_test_index.npz").unlink()
    with pytest.raises(DataError) as caught:
        IMAGE.load(data, "test", PICTURES)
    message = str(caught.value)
    assert "cifar-10-batches-bin nor cifar10_jpeg_test.bin.xz with" in message
    assert f"{data} or {data / 'cifar10'}" in message and "cifar-10-binary.tar.gz" in message


def test_a_picture_that_is_none_or_of_another_size():
    with pytest.raises(DataError, match="picture 3 cannot be decoded as a picture .*Fetch"):
        decode([("picture 3", b"junk")], 1, 32)
    whole = encoded(np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8))
    with pytest.raises(DataError, match="picture 4 cannot be decoded as a picture"):
        decode([("picture 4", whole[: len(whole) // 2])], 1, 32)
    small = encoded(np.zeros((16, 24), np.uint8))
    with pytest.raises(DataError, match="p is a picture of 24 x 16 pixels; expected 32 x 32"):
        decode([("p", small)], 1, 32)
    lossless = bytearray(encoded(np.eye(32, dtype=np.uint8), "PNG"))
    lossless[33:37] = bytes(4)  # the length of the first chunk of pixels
    with pytest.raises(DataError, match="picture 5 cannot be decoded as a picture"):
        decode([("picture 5", bytes(lossless))], 1, 32)
    other = encoded(np.zeros((32, 32), np.uint8), "BMP")
    with pytest.raises(DataError, match="p cannot be decoded"):
        decode([("p", other)], 1, 32)


def test_a_packed_picture_that_is_none_names_itself(packed):
    data, items, labels = packed
    names = ("cifar10_jpeg_test.bin.xz", "cifar10_jpeg_test_index.npz")
    broken = [items["test"][0], b"no picture"]
    pack(data / "cifar10", names, broken, "y", labels["test"][:2])
    with pytest.raises(DataError, match=r"picture 1 of .*cifar10_jpeg_test\.bin\.xz cannot be"):
        IMAGE.load(data, "test", PICTURES)


def test_a_png_is_read_without_loss():
    picture = np.random.default_rng(2).integers(0, 256, (32, 32)).astype(np.uint8)
    assert (decode([("p", encoded(picture, "PNG"))], 1, 32)[0] == picture).all()


def test_without_pillow_the_message_says_so(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name == "PIL":
            raise ImportError("No module named 'PIL'")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"Pillow is not installed .* Run 'pip install pillow'"):
        decode([], 0, 32)


# Items of bytes of different lengths


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(1, 8))
def test_items_are_joined_cut_off_and_filled_up(items, steps):
    ragged = join(items)
    assert len(ragged) == len(items)
    assert [ragged.item(i).tobytes() for i in range(len(items))] == items
    index = np.arange(len(items))[::-1]
    rows = ragged.rows(index, steps)
    assert rows.shape == (len(items), 1, steps) and rows.dtype == np.uint8
    expected = [item[:steps].ljust(steps, b"\0") for item in reversed(items)]
    assert [row.tobytes() for row in rows[:, 0]] == expected


def test_items_there_and_back(tmp_path):
    items = [b"abc", b"", b"\xff\x00"]
    labels = np.array([2, 0, 1], np.uint8)
    path = tmp_path / "made" / "items.npz"
    write_ragged(path, join(items), labels)
    found, again = read_ragged(path, "items")
    assert [found.item(i).tobytes() for i in range(3)] == items and (again == labels).all()
    assert [p.name for p in path.parent.iterdir()] == ["items.npz"]


@pytest.mark.parametrize(("offsets", "labels"), [
    ([], []), ([1, 5], [0]), ([0, 4], [0]), ([0, 6], [0]), ([0, 4, 2, 5], [0, 1, 2]),
    ([0, 5], [0, 1]), ([0, 5], [[0]]),
], ids=["none", "start", "early", "late", "falling", "labels", "axes"])
def test_offsets_that_do_not_fit(tmp_path, offsets, labels):
    (tmp_path / "c.xz").write_bytes(lzma.compress(b"hello"))
    np.savez(tmp_path / "i.npz", offsets=np.array(offsets, int), label=np.array(labels, int))
    with pytest.raises(DataError) as caught:
        read_packed(tmp_path / "c.xz", tmp_path / "i.npz", "label")
    message = str(caught.value)
    assert f"{tmp_path / 'c.xz'} and i.npz: 5 bytes, {len(offsets)} offsets" in message
    assert "rise from 0 to the number of bytes, and one label fewer" in message


def test_a_packed_file_that_cannot_be_read(tmp_path):
    content, index = tmp_path / "c.xz", tmp_path / "i.npz"
    np.savez(index, offsets=np.array([0, 5]), label=np.array([1]))
    whole = lzma.compress(b"hello")
    for broken in (b"", b"junk", whole[:-3]):
        content.write_bytes(broken)
        with pytest.raises(DataError, match=r"c\.xz cannot be read \(.*Fetch the file again"):
            read_packed(content, index, "label")
    content.write_bytes(whole)
    with pytest.raises(DataError, match=r"i\.npz cannot be read as the index of c\.xz .*other \("):
        read_packed(content, index, "other")
    index.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"i\.npz cannot be read as the index of c\.xz"):
        read_packed(content, index, "label")


# Text

REVIEWS = {
    "train": {"neg": ["bad", "né", "a" * 30], "pos": ["good", "ü" * 3]},
    "test": {"neg": ["dull"], "pos": ["bright"]},
}


def by_label(split):
    return [(text.encode(), label) for label, name in enumerate(("neg", "pos"))
            for text in REVIEWS[split][name]]


@pytest.fixture(params=["official", "packed"])
def reviews(request, tmp_path):
    """The reviews in one of the two forms, in the data directory or its folder."""
    for split, texts in REVIEWS.items():
        if request.param == "official":
            for name, items in texts.items():
                folder = tmp_path / "imdb" / "aclImdb" / split / name
                folder.mkdir(parents=True)
                (folder / "readme.md").write_text("no review")
                for i, item in enumerate(items):
                    (folder / f"{i}_{i + 1}.txt").write_bytes(item.encode())
        else:
            pairs = by_label(split)
            names = (f"imdb_{split}_utf8.bin.xz", f"imdb_{split}_index.npz")
            pack(tmp_path, names, [text for text, _ in pairs], "label", [k for _, k in pairs])
    return tmp_path


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("steps", [4, 32])
def test_reviews_are_bytes_cut_off_or_filled_up(reviews, split, steps):
    TEXT.download(reviews)
    samples = TEXT.load(reviews, split, TaskConfig("text", steps))
    assert samples.inputs.shape == (len(by_label(split)), 1, steps)
    assert samples.inputs.dtype == np.uint8 and samples.labels.dtype == np.int64
    found = [(row.tobytes(), int(k)) for row, k in
             zip(samples.inputs[:, 0], samples.labels, strict=True)]
    expected = [(text[:steps].ljust(steps, b"\0"), label) for text, label in by_label(split)]
    assert sorted(found) == sorted(expected)


def test_reviews_are_mixed_always_in_the_same_order(reviews):
    whole = TEXT.load(reviews, "train", TaskConfig("text", 32))
    again = TEXT.load(reviews, "train", TaskConfig("text", 32))
    part = TEXT.load(reviews, "train", TaskConfig("text", 32, train_samples=3))
    assert (whole.inputs == again.inputs).all() and (whole.labels == again.labels).all()
    assert (part.inputs == whole.inputs[:3]).all() and (part.labels == whole.labels[:3]).all()
    assert list(whole.labels) != sorted(whole.labels)


def test_a_folder_without_reviews(tmp_path):
    (tmp_path / "aclImdb" / "train" / "neg").mkdir(parents=True)
    with pytest.raises(DataError, match=r"train/neg holds no \.txt file; .*aclImdb_v1\.tar\.gz"):
        TEXT.load(tmp_path, "train", TaskConfig("text", 8))


def test_reviews_of_a_folder_are_in_the_order_of_their_names(tmp_path):
    numbers = np.random.default_rng(0).permutation(20).tolist()
    for name in ("neg", "pos"):
        (tmp_path / name).mkdir()
        for i in numbers:
            (tmp_path / name / f"{i:02d}_1.txt").write_text(f"{name}{i}")
    reviews, labels = read_folder(tmp_path)
    expected = [f"{name}{i}".encode() for name in ("neg", "pos") for i in range(20)]
    assert [reviews.item(k).tobytes() for k in range(40)] == expected
    assert labels.tolist() == [0] * 20 + [1] * 20


def test_packed_reviews_need_their_index(tmp_path):
    names = ("imdb_test_utf8.bin.xz", "imdb_test_index.npz")
    pack(tmp_path, names, [b"a"], "label", [0])
    (tmp_path / names[1]).unlink()
    with pytest.raises(DataError, match=r"neither aclImdb nor imdb_test_utf8\.bin\.xz with imdb_"):
        TEXT.load(tmp_path, "test", TaskConfig("text", 8))


def test_no_reviews_at_all(tmp_path):
    with pytest.raises(DataError) as caught:
        TEXT.load(tmp_path, "test", TaskConfig("text", 8))
    message = str(caught.value)
    assert "neither aclImdb nor imdb_test_utf8.bin.xz with imdb_test_index.npz" in message
    assert f"{tmp_path} or {tmp_path / 'imdb'}" in message


def test_a_label_that_is_no_class(tmp_path):
    names = ("imdb_test_utf8.bin.xz", "imdb_test_index.npz")
    pack(tmp_path, names, [b"a", b"b"], "label", [-1, -1])
    with pytest.raises(DataError, match="task 'text' has the label -1; expected 0 to 1"):
        TEXT.load(tmp_path, "test", TaskConfig("text", 8))
