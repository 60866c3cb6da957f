"""examples/easier_paths.py: pictures that the task reads, as easy as it was told."""

import numpy as np
import pytest
from support.files import load_example

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import load_samples
from snn_ssm.tasks.dashed_paths import DRAWING_32, paint, place


@pytest.fixture
def example(monkeypatch):
    module = load_example("easier_paths")
    for name, count in (("VALID", 3), ("TEST", 4)):
        monkeypatch.setattr(module, name, count)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["easier_paths.py", *map(str, arguments)])
        module.main()

    return run


def test_the_task_reads_them_and_they_have_the_paths_that_were_asked_for(example, tmp_path):
    example(tmp_path, "--paddles", 3, 3, "--distractors", 1, 1, "--train", 6, "--seed", 4)
    rng = np.random.default_rng([4, 0])
    drawing = DRAWING_32._replace(paddles=3, distractors=1)
    found = load_samples(tmp_path, "train", TaskConfig("pathfinder", 1024))
    assert len(found.labels) == 6
    for image, label in zip(found.inputs, found.labels, strict=True):
        assert (rng.integers(3, 4), rng.integers(1, 2)) == (3, 1)
        scene = place(rng, drawing)
        assert len(scene.paddles) <= 2 * 3 + 4
        assert (image[0] == paint(scene, drawing).ravel()).all() and label == scene.label
    for split, count in (("val", 3), ("test", 4)):
        with np.load(tmp_path / "pathfinder32" / f"pathfinder32-{split}.npz") as stored:
            assert len(stored["labels"]) == count


def test_a_range_draws_from_both_of_its_ends(example, tmp_path):
    bright = {}
    for low, high in ((2, 2), (2, 9), (9, 9)):
        folder = tmp_path / f"{low}-{high}"
        example(folder, "--paddles", low, high, "--distractors", 0, 0, "--train", 60)
        with np.load(folder / "pathfinder32" / "pathfinder32-train.npz") as stored:
            bright[low, high] = (stored["images"] > 0).mean(axis=(1, 2))
    assert bright[2, 2].max() < bright[9, 9].min()
    assert bright[2, 9].min() <= bright[2, 2].max() and bright[2, 9].max() >= bright[9, 9].min()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--paddles", 7, 6], "--paddles 7 6: expected 2 <= LEAST <= MOST <= 14"),
    (["--paddles", 2, 15], "--paddles 2 15: expected"),
    (["--distractors", -1, 2], "--distractors -1 2: expected 0 <= LEAST <= MOST <= 5"),
    (["--train", 0], "--train is at least 1"),
    (["--seed", -1], "--seed at least 0"),
])
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(
    example, tmp_path, capsys, arguments, message
):
    with pytest.raises(SystemExit) as caught:
        example(tmp_path / "new", *arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
