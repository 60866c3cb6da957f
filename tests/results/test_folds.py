"""The folds of a cross-validation together: as all held-out samples at once, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from snn_ssm import config
from snn_ssm.config import Config, ModelConfig, TaskConfig
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.results.folds import main, pooled, table
from snn_ssm.results.page import ResultsError

MODEL = ModelConfig(classes=3)
COUNTS = [[[5, 0, 1], [1, 0, 0], [0, 2, 0]], [[3, 1, 0], [0, 4, 0], [1, 0, 0]]]
ROWS = [{"name": name} for name in "NSV"]


def run_of(folder, fold, counts, rows=ROWS, **changes):
    folder.mkdir(exist_ok=True)
    task = TaskConfig("own", 5, valid_fold=fold)
    found = replace(Config(task=task, model=MODEL), **changes)
    (folder / "config.toml").write_text(config.dumps(found))
    metrics = {"valid_counts": counts, "valid_classes": rows}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [run_of(tmp_path / f"{i}", f"{i + 1}/2", each) for i, each in enumerate(COUNTS)]


def test_the_folds_are_counted_together(runs, capsys):
    found = pooled(runs)
    n, s, v = found["classes"]
    assert (n["count"], n["sensitivity"], n["predictivity"]) == (10, 0.8, 0.8)
    # In the first fold none of the three answers S was right: they count all the same.
    assert (s["count"], s["sensitivity"], s["predictivity"]) == (5, 0.8, 4 / 7)
    assert v["f1"] == 0 and found["accuracy"] == 12 / 18
    assert found["macro_f1"] == (0.8 + 8 / 12 + 0) / 3
    assert pooled(runs[::-1]) == found
    assert main([str(run) for run in runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "accuracy 0.6667, macro_f1 0.4889"
    assert lines[2] == "| name | count | sensitivity | predictivity | f1 |"
    assert lines[5] == "| S | 5 | 0.8000 | 0.5714 | 0.6667 |"


def test_values_are_counted_together_too(tmp_path):
    model = ModelConfig(classes=1, output="values")
    # Targets 1, 2 around 1, and 0 around itself.
    counts = [[[2, 1.0, 1.0, 1.0, 0.5, 1.0]], [[1, 0.0, 0.0, 0.0, 0.5, 0.5]]]
    runs = [run_of(tmp_path / f"{i}", f"{i + 1}/2", each, ROWS[:1], model=model)
            for i, each in enumerate(counts)]
    found = pooled(runs)
    assert found["r2"] == 1 - 1 / 2 and found["mae"] == 0.5
    assert "r2 0.5000" in table(found) and "accuracy" not in table(found)


def test_labels_that_may_all_hold_are_counted_together_too(tmp_path):
    model = ModelConfig(classes=2, output="multi-label")
    labels = np.array([[1, 0], [0, 0], [1, 1]])
    scores = np.array([[1.0, -1.0], [2.0, 0.0], [-3.0, 1.0]])
    parts = (slice(0, 2), slice(2, 3))
    counts = [OUTPUTS["multi-label"].counts(scores[p], labels[p]).tolist() for p in parts]
    runs = [run_of(tmp_path / f"{i}", f"{i + 1}/2", each, ROWS[:2], model=model)
            for i, each in enumerate(counts)]
    found = pooled(runs)
    assert found["accuracy"] == 4 / 6 and found["exact"] == 1 / 3
    assert [row["f1"] for row in found["classes"]] == [0.5, 1.0]


def test_sums_of_values_of_an_earlier_form_are_refused(tmp_path):
    """Of five columns, around no origin: they would be taken for others."""
    model = ModelConfig(classes=1, output="values")
    runs = [run_of(tmp_path / f"{i}", f"{i + 1}/2", [[2, 3.0, 5.0, 0.5, 1.0]], ROWS[:1],
                   model=model) for i in range(2)]
    with pytest.raises(ResultsError, match=r"valid_counts of shape \(1, 5\).*Train the fold again"):
        pooled(runs)


def test_what_are_not_the_folds_of_one_cross_validation(runs, tmp_path, capsys):
    with pytest.raises(ResultsError, match=r"valid_fold '1/2', '1/2'; expected 1/2, 2/2"):
        pooled([runs[0], runs[0]])
    with pytest.raises(ResultsError, match="expected 1/1, each once"):
        pooled(runs[:1])
    assert main([str(runs[0])]) == 2
    assert "ResultsError: the runs have task.valid_fold '1/2'" in capsys.readouterr().err
    other = run_of(tmp_path / "1", "2/2", COUNTS[1], model=replace(MODEL, channels=8))
    with pytest.raises(ResultsError, match="is another than that of .* but for task.valid_fold"):
        pooled([runs[0], other])
    other = run_of(tmp_path / "1", "2/2", COUNTS[1], [{"name": name} for name in "NSF"])
    with pytest.raises(ResultsError, match="tell different classes or values"):
        pooled([runs[0], other])


@pytest.mark.parametrize(("content", "said"), [
    ("{}", "is not the metrics.json of a fold .KeyError: 'valid_classes'"),
    ("[]", "is not the metrics.json of a fold .TypeError"),
    ("{", "is not the metrics.json of a fold"),
    (json.dumps({"valid_classes": ROWS, "valid_counts": [1]}), r"shape \(1,\) for 3 classes"),
    (json.dumps({"valid_classes": ROWS, "valid_counts": [["a"]]}), "is not the metrics.json of a"),
])
def test_metrics_that_are_no_folds(runs, content, said):
    (runs[1] / "metrics.json").write_text(content)
    with pytest.raises(ResultsError, match=said):
        pooled(runs)
