"""Pathfinder and Path-X: the drawn scenes against their definition, the pictures, both formats."""

import io
import math

import numpy as np
import pytest
from PIL import Image as Pillow

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks import pathfinder as task
from snn_ssm.tasks.dashed_paths import DRAWING_32, DRAWING_128, _turn, generate, paint, place
from snn_ssm.tasks.pathfinder import OFFICIAL, PATH_X, PATHFINDER, read_metadata

DRAWINGS = {"32": (DRAWING_32, 60), "128": (DRAWING_128, 12)}
CONFIG = TaskConfig("pathfinder", 1024)


@pytest.fixture(scope="module", params=DRAWINGS)
def scenes(request):
    """A drawing and random scenes of it."""
    drawing, count = DRAWINGS[request.param]
    rng = np.random.default_rng(5)
    return drawing, [place(rng, drawing) for _ in range(count)]


def sides(points, segments):
    """On which side of each segment (K, 2, 2) each point (K, 2, 2) is: (K, 2, K) signs."""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    away = points[:, :, None] - start  # (K, 2, K, 2)
    return np.sign(along[:, 0] * away[..., 1] - along[:, 1] * away[..., 0])


def gaps(segments):
    """The least distance between every two segments (K, 2, 2): (K, K), 0 where they cross."""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    away = segments[:, :, None] - start  # (K, 2, K, 2)
    share = np.clip((away * along).sum(-1) / (along**2).sum(-1), 0, 1)
    nearest = np.linalg.norm(away - share[..., None] * along, axis=-1).min(1)  # (K, K)
    beside = sides(segments, segments)
    divided = beside[:, 0] * beside[:, 1] < 0
    return np.where(divided & divided.T, 0.0, np.minimum(nearest, nearest.T))


def paths_of(scene):
    """Paddles that hang together by gaps of at most two margins: the path of each, (K,)."""
    near = gaps(scene.paddles.reshape(-1, 2, 2)) <= 2 * scene.margin + 1e-9
    path = np.arange(len(near))
    for _ in path:  # the smallest number spreads along the path
        path = np.where(near, path, len(near)).min(axis=1)
    return path


def test_gaps_of_segments_that_are_known():
    cross = np.array([[[0, 0], [2, 0]], [[1, -1], [1, 1]], [[5, 4], [2, 4]], [[2, 0], [3, 0]]])
    expected = [[0, 0, 4, 0], [0, 0, 10**0.5, 1], [4, 10**0.5, 0, 4], [0, 1, 4, 0]]
    assert np.abs(gaps(cross.astype(float)) - expected).max() < 1e-12


def test_the_label_says_whether_the_dots_paddles_hang_together(scenes):
    _, found = scenes
    labels = []
    for scene in found:
        path, ends = paths_of(scene), scene.paddles.reshape(-1, 2)
        marked = [path[np.flatnonzero((ends == dot).all(1))[0] // 2] for dot in scene.dots]
        assert scene.label == int(marked[0] == marked[1])
        labels.append(scene.label)
    assert set(labels) == {0, 1}


def test_paths_are_as_many_and_as_long_as_the_drawing_says(scenes):
    drawing, found = scenes
    distractors = []
    for scene in found:
        sizes = sorted(np.unique(paths_of(scene), return_counts=True)[1].tolist())
        assert sizes[-2:] == [drawing.paddles] * 2
        assert set(sizes[:-2]) <= {drawing.distractor_paddles}
        distractors.append(len(sizes) - 2)
        lengths = np.linalg.norm(scene.paddles[:, 2:] - scene.paddles[:, :2], axis=1)
        assert np.abs(lengths - drawing.length).max() < 1e-12
        assert scene.paddles.min() >= drawing.padding
        assert scene.paddles.max() <= drawing.side - drawing.padding
        assert drawing.margins[0] <= scene.margin <= drawing.margins[1]
    assert 0 < max(distractors) <= drawing.distractors


def test_dots_are_a_start_and_an_end_of_long_paths(scenes):
    drawing, found = scenes
    which = []
    for scene in found:
        last = 2 * (drawing.paddles - 1)
        starts, ends = scene.paddles[:2, :2], scene.paddles[last : last + 2, 2:]
        first = int(np.flatnonzero((starts == scene.dots[0]).all(1))[0])
        second = int(np.flatnonzero((ends == scene.dots[1]).all(1))[0])
        assert scene.label == int(first == second)
        which.append((first, second))
    assert set(which) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_long_path_turns_within_its_bound_at_a_pivot_in_the_gap(scenes):
    drawing, found = scenes
    for scene in found:
        for path in (scene.paddles[i : 2 * drawing.paddles : 2] for i in (0, 1)):
            angles = np.arctan2(path[:, 3] - path[:, 1], path[:, 2] - path[:, 0])
            turns = (np.diff(angles) + math.pi) % (2 * math.pi) - math.pi
            assert np.abs(turns).max() <= math.pi / 2 / drawing.continuity + 1e-9
            ahead = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            leaving = path[:-1, 2:] + scene.margin * ahead[:-1]
            arriving = path[1:, :2] - scene.margin * ahead[1:]
            assert np.abs(leaving - arriving).max() < 1e-9


@pytest.mark.parametrize("continuity", [1.0, 1.8])
def test_turns_are_of_the_density_cos_squared(continuity):
    """Of a phase p with the density (2 / pi) cos^2 p, cos 2p has mean 1/2 and variance 1/4."""
    rng = np.random.default_rng(1)
    phases = continuity * np.array([_turn(rng, continuity) for _ in range(4000)])
    assert abs(np.cos(2 * phases).mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)
    assert abs(phases.mean()) < 0.05


def test_the_long_paths_start_near_the_centre_a_separation_apart_in_any_direction(scenes):
    drawing, found = scenes
    first, second = (np.array([scene.paddles[i, :2] for scene in found]) for i in (0, 1))
    away = np.abs(first - drawing.side / 2).max()
    assert away <= drawing.side / 2 - 2 * drawing.separation
    apart = second - first
    assert np.abs(np.linalg.norm(apart, axis=1) - drawing.separation).max() < 1e-9
    assert (apart.min(axis=0) < 0).all() and (apart.max(axis=0) > 0).all()


def test_a_picture_is_the_distance_to_what_is_drawn(scenes):
    drawing, found = scenes
    middle = np.arange(drawing.side) + 0.5
    x, y = np.meshgrid(middle, middle)  # (side, side) each
    for scene in found[:5]:
        expected = np.zeros((drawing.side, drawing.side))
        shapes = [(paddle, drawing.thickness / 2) for paddle in scene.paddles]
        shapes += [(np.concatenate([dot, dot]), drawing.dot_radius) for dot in scene.dots]
        for (x0, y0, x1, y1), radius in shapes:
            square = (x1 - x0) ** 2 + (y1 - y0) ** 2
            along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (square or 1.0)
            along = np.clip(along, 0, 1)
            away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
            expected = np.maximum(expected, 255 * np.clip(radius + 0.5 - away, 0, 1))
        image = paint(scene, drawing)
        assert image.dtype == np.uint8 and image.shape == expected.shape
        assert np.abs(image - expected).max() <= 0.5 + 1e-6  # rounded to the nearest level


def test_labels_are_balanced():
    _, labels = generate(np.random.default_rng(11), 400, DRAWING_32)
    assert abs(int(labels.sum()) - 200) < 50  # 5 standard deviations of a fair draw


def test_a_seed_draws_the_same_pictures_and_fewer_are_the_first_of_more():
    images, labels = generate(np.random.default_rng(3), 8, DRAWING_32)
    again, same = generate(np.random.default_rng(3), 5, DRAWING_32)
    other, _ = generate(np.random.default_rng(4), 8, DRAWING_32)
    assert images.shape == (8, 32, 32) and images.dtype == np.uint8
    assert (images[:5] == again).all() and (labels[:5] == same).all()
    assert (images != other).any() and len({image.tobytes() for image in images}) == 8


def test_the_sizes_and_splits_of_both_sets():
    assert (DRAWING_32.side, DRAWING_128.side) == (32, 128)
    for drawing, distractors in ((DRAWING_32, 5), (DRAWING_128, 8)):
        assert (drawing.paddles, drawing.distractor_paddles) == (14, 4)
        assert drawing.distractors == distractors
    assert task.COUNTS == {
        32: {"train": 160_000, "val": 20_000, "test": 20_000},
        128: {"train": 20_000, "val": 2_000, "test": 2_000},
    }


# What --download draws


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setitem(task.COUNTS, 32, {"train": 6, "val": 2, "test": 3})
    monkeypatch.setitem(task.COUNTS, 128, {"train": 2, "val": 1, "test": 1})
    return tmp_path


def test_the_splits_are_drawn_loaded_and_differ(made):
    PATHFINDER.download(made)
    loaded = {split: load_samples(made, split, CONFIG) for split in ("train", "val", "test")}
    assert {split: len(samples) for split, samples in loaded.items()} == {
        "train": 6, "val": 2, "test": 3,
    }
    rows = [row.tobytes() for samples in loaded.values() for row in samples.inputs]
    assert len(set(rows)) == len(rows)
    images, labels = generate(np.random.default_rng(0), 6, DRAWING_32)
    assert (loaded["train"].inputs == images.reshape(6, 1, 1024)).all()
    assert (loaded["train"].labels == labels).all() and loaded["train"].labels.dtype == np.int64
    assert loaded["test"].source == "own generator"


def test_path_x_is_drawn_large(made):
    PATH_X.download(made)
    samples = PATH_X.load(made, "test", PATH_X.config().task)
    assert samples.inputs.shape == (1, 1, 16384) and samples.inputs.dtype == np.uint8
    images, labels = generate(np.random.default_rng(2), 1, DRAWING_128)
    assert (samples.inputs.reshape(images.shape) == images).all()
    assert (samples.labels == labels).all()


def test_what_is_there_is_not_drawn_again(made):
    PATHFINDER.download(made)
    folder = made / "pathfinder32"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(before) == [f"pathfinder32-{split}.npz" for split in ("test", "train", "val")]
    (folder / "pathfinder32-val.npz").unlink()
    PATHFINDER.download(made)
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert [name for name in after if after[name] != before[name]] == ["pathfinder32-val.npz"]
    (made / "pathfinder128" / OFFICIAL).mkdir(parents=True)
    PATH_X.download(made)
    assert [path.name for path in (made / "pathfinder128").iterdir()] == [OFFICIAL]


def test_a_part_of_the_drawn_pictures(made):
    PATHFINDER.download(made)
    whole = PATHFINDER.load(made, "train", CONFIG)
    part = PATHFINDER.load(made, "train", TaskConfig("pathfinder", 1024, train_samples=4))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in part.inputs]
    assert len(set(rows)) == 4 and (part.labels == whole.labels[rows]).all()
    with pytest.raises(DataError, match="'pathfinder' has 6 training samples"):
        PATHFINDER.load(made, "train", TaskConfig("pathfinder", 1024, train_samples=7))


@pytest.mark.parametrize("shape", [(2, 16, 16), (3, 32, 32), (2, 1024)])
def test_drawn_pictures_of_another_shape(tmp_path, shape):
    path = tmp_path / "pathfinder32-test.npz"
    np.savez(path, images=np.zeros(shape, np.uint8), labels=np.zeros(2, np.uint8))
    with pytest.raises(DataError) as caught:
        PATHFINDER.load(tmp_path, "test", CONFIG)
    message = str(caught.value)
    assert f"{path} has images of shape {shape} and 2 labels; expected (B, 32, 32)" in message


def test_a_drawn_file_that_cannot_be_read(tmp_path):
    (tmp_path / "pathfinder32-test.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"pathfinder32-test\.npz cannot be read as Pathfinder"):
        PATHFINDER.load(tmp_path, "test", CONFIG)


def test_missing_pictures_say_how_to_draw_them(tmp_path):
    with pytest.raises(DataError) as caught:
        PATH_X.load(tmp_path, "test", PATH_X.config().task)
    message = str(caught.value)
    assert f"neither {OFFICIAL} nor pathfinder128-test.npz is in {tmp_path} or" in message
    assert f"'snn-ssm train path-x --download --data {tmp_path}'" in message


# The official folder


def encoded(picture):
    stream = io.BytesIO()
    Pillow.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def official(tmp_path):
    """Twenty pictures in four folders, listed in text files: (data, pixels, labels), in order."""
    rng = np.random.default_rng(8)
    folder = tmp_path / "pathfinder32" / OFFICIAL
    (folder / "metadata").mkdir(parents=True)
    pixels, labels = rng.integers(0, 256, (20, 32, 32)).astype(np.uint8), rng.integers(0, 2, 20)
    for block, number in enumerate((0, 1, 2, 10)):  # as text, 10 would come before 2
        (folder / "imgs" / str(number)).mkdir(parents=True)
        lines = []
        for i in range(5):
            k = 5 * block + i
            name = f"sample_{i}.png"
            (folder / "imgs" / str(number) / name).write_bytes(encoded(pixels[k]))
            lines.append(f"imgs/{number} {name} {i} {labels[k]} 1.8 14 5 2\n")
        (folder / "metadata" / f"{number}.npy").write_text("".join(lines))
    (folder / "metadata" / "combined.npy").write_text("not a listing\n")
    return tmp_path, pixels, labels


def rows_of(samples, pixels):
    """Which of the official pictures each sample is."""
    return [
        int(np.flatnonzero((pixels.reshape(-1, 1, 1024) == row).all((1, 2)))[0])
        for row in samples.inputs
    ]


def test_the_listing_is_in_the_order_of_the_files_numbers(official):
    data, _, labels = official
    paths, found = read_metadata(data / "pathfinder32" / OFFICIAL)
    expected = [f"imgs/{n}/sample_{i}.png" for n in (0, 1, 2, 10) for i in range(5)]
    assert paths == expected and (found == labels).all() and found.dtype == np.int64


def test_official_pictures_are_split_mixed_and_keep_their_labels(official):
    data, pixels, labels = official
    used = []
    for split, count in (("train", 16), ("val", 2), ("test", 2)):
        samples = PATHFINDER.load(data, split, CONFIG)
        rows = rows_of(samples, pixels)
        assert len(rows) == count and (samples.labels == labels[rows]).all()
        assert samples.source == ""
        assert rows == rows_of(PATHFINDER.load(data, split, CONFIG), pixels)
        used += rows
    assert sorted(used) == list(range(20)) and used != sorted(used)


def test_a_part_of_the_official_pictures(official):
    data, pixels, labels = official
    whole = PATHFINDER.load(data, "train", CONFIG)
    part = PATHFINDER.load(data, "train", TaskConfig("pathfinder", 1024, train_samples=5))
    more = PATHFINDER.load(data, "train", TaskConfig("pathfinder", 1024, train_samples=9))
    rows = rows_of(part, pixels)
    assert len(set(rows)) == 5 and set(rows) <= set(rows_of(whole, pixels))
    assert (part.labels == labels[rows]).all() and rows == rows_of(more, pixels)[:5]


def test_the_official_folder_comes_first_and_is_not_added_to(official, monkeypatch):
    data, pixels, _ = official
    np.savez(data / "pathfinder32-test.npz", images=pixels[:1], labels=np.zeros(1))
    assert len(PATHFINDER.load(data, "test", CONFIG)) == 2
    PATHFINDER.download(data)
    assert [path.name for path in (data / "pathfinder32").iterdir()] == [OFFICIAL]


@pytest.mark.parametrize("line", [
    "imgs/0 sample_9.png 9", "imgs/0 sample_9.png 9 yes", "\x93NUMPY", "",
])
def test_a_line_of_the_listing_that_is_no_picture(official, line):
    data, _, _ = official
    file = data / "pathfinder32" / OFFICIAL / "metadata" / "1.npy"
    file.write_bytes(file.read_bytes() + line.encode() + b"\n")
    with pytest.raises(DataError) as caught:
        PATHFINDER.load(data, "test", CONFIG)
    message = str(caught.value)
    assert message.startswith(f"{file}, line 6: {line.encode()!r}; expected 'imgs/0 sample_0.png")
    assert "folder, file, number and label. Unpack the archive again." in message


def test_a_listing_of_no_pictures(tmp_path):
    (tmp_path / OFFICIAL).mkdir()
    with pytest.raises(DataError, match="metadata lists no picture; expected text files 0.npy"):
        PATHFINDER.load(tmp_path, "test", CONFIG)


def test_an_official_picture_that_is_missing_broken_or_of_another_size(official):
    data, pixels, _ = official
    folder = data / "pathfinder32" / OFFICIAL
    row = rows_of(PATHFINDER.load(data, "test", CONFIG), pixels)[0]
    paths, _ = read_metadata(folder)
    picture = folder / paths[row]
    picture.write_bytes(encoded(np.zeros((32, 31), np.uint8)))
    with pytest.raises(DataError, match=f"{paths[row]} is a picture of 31 x 32 pixels"):
        PATHFINDER.load(data, "test", CONFIG)
    picture.write_bytes(b"junk")
    with pytest.raises(DataError, match=f"{paths[row]} cannot be decoded as a picture"):
        PATHFINDER.load(data, "test", CONFIG)
    picture.unlink()
    with pytest.raises(DataError, match=f"{paths[row]} is missing. Unpack the archive again"):
        PATHFINDER.load(data, "test", CONFIG)


def test_too_few_official_pictures_for_a_split(official):
    data, _, _ = official
    metadata = data / "pathfinder32" / OFFICIAL / "metadata"
    for name in ("1", "2", "10"):
        (metadata / f"{name}.npy").unlink()
    (metadata / "0.npy").write_text("imgs/0 sample_0.png 0 1 1.8\n")
    with pytest.raises(DataError, match="task 'pathfinder' has no val samples"):
        PATHFINDER.load(data, "val", CONFIG)


def test_an_official_label_that_is_none(official):
    data, _, _ = official
    for file in (data / "pathfinder32" / OFFICIAL / "metadata").glob("*.npy"):
        file.write_text(file.read_text().replace(" 1.8 14", "5 1.8 14"))
    with pytest.raises(DataError, match=r"'pathfinder' has the label \d5; expected 0 to 1"):
        PATHFINDER.load(data, "test", CONFIG)


def test_a_picture_of_another_task_has_other_steps(official):
    with pytest.raises(DataError, match="have 1024 steps, but task.steps is 784"):
        PATHFINDER.load(official[0], "test", TaskConfig("pathfinder", 784))
