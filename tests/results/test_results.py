"""The page of results: its text from made metrics, what was not run, and the stored page."""

import json

import pytest
from support.files import ROOT

from snn_ssm.results.page import (
    PUBLISHED,
    TITLES,
    ResultsError,
    _count,
    main,
    not_run,
    page,
    read_metrics,
)
from snn_ssm.tasks import TASKS


def made(task="smnist", model="Binary S4D, linear", **changes):
    """Metrics with the keys that a row needs."""
    return {
        "task": task,
        "model": model,
        "test_accuracy": 0.98765,
        "spike_rates": [0.3, 0.5],
        "synaptic_operations": {"Effective_ACs": 5.25e6, "Effective_MACs": 31_234, "Dense": 1.2e9},
        "steps": 784,
        "parameters": 43018,
        "epochs": [{}, {}, {}],
        "init": None,
        "train_samples": 60000,
        "hardware": "A processor, 2 threads",
        "seconds": 4000.0,
        "classes": [
            {"name": "N", "count": 1234, "sensitivity": 0.5, "predictivity": 1 / 3},
            {"name": "V", "count": 0, "sensitivity": None, "predictivity": 0.0},
        ],
    } | changes


def write(directory, *runs):
    directory.mkdir(exist_ok=True)
    for i, run in enumerate(runs):
        (directory / f"{i}.json").write_text(json.dumps(run))
    return directory


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_a_run_is_a_row():
    assert rows(page([made()]))[2:] == [
        "| sMNIST | Binary S4D, linear | 99.40 | 98.77 | 784 | 43,018 | 40.00 | "
        "5.25 M ACs + 31.2 k MACs of 1.2 G | 3 | 60,000 | A processor, 2 threads | 67 |"
    ]


@pytest.mark.parametrize(("value", "expected"), [
    (0.5, "0.5"), (999.4, "999"), (999.6, "1 k"), (1000, "1 k"), (1e6, "1 M"), (999_700, "1 M"),
    (999_400, "999 k"), (1e9, "1 G"), (12_345_678, "12.3 M"),
])
def test_operations_have_three_digits(value, expected):
    assert _count(value) == expected


def test_data_other_than_the_papers_are_named():
    assert rows(page([made("image", data="JPEG CIFAR")]))[2].startswith("| Image (JPEG CIFAR) | ")


def test_a_model_without_spikes_an_unpublished_task_and_a_second_training():
    operations = {"Effective_ACs": 0, "Effective_MACs": 999.0, "Dense": 999}
    run = made("other", "Transformer", spike_rates=[], synaptic_operations=operations,
               init="ab12")
    assert rows(page([run]))[2:] == [
        "| other | Transformer | - | 98.77 | 784 | 43,018 | - | 999 MACs of 999 | "
        "3, from a trained model | 60,000 | A processor, 2 threads | 67 |"
    ]


def test_only_mit_bih_has_a_class_table():
    assert "Class by class" not in page([made()])
    text = page([made(), made("mitbih")])
    assert "### MIT-BIH: Binary S4D, linear, epochs: 3, training samples: 60,000\n" in text
    assert rows(text)[-2:] == ["| N | 1,234 | 50.00 | 33.33 |", "| V | 0 | - | 0.00 |"]


def test_what_was_published_and_not_run_is_listed():
    everything = [made(task, model) for model, tasks in PUBLISHED.items() for task in tasks]
    assert not_run(everything) == [] and "Not run" not in page(everything)
    without = [run for run in everything if run["task"] != "path-x"]
    assert not_run(without) == ["Binary S4D on Path-X (61.20 %)"]
    assert page(without).endswith("Published, and no run of ours:\n\n"
                                  "- Binary S4D on Path-X (61.20 %)\n")
    # A variant is a run of its family; a transformer is not one of Binary S4D.
    assert "Binary S4D on sMNIST (99.40 %)" not in not_run([made()])
    assert "Binary S4D on Text (82.50 %)" in not_run([made("text", "Transformer")])
    assert len(not_run([])) == 17


def test_runs_stand_in_the_order_of_tasks_and_models(tmp_path):
    runs = write(tmp_path, made("other"), made("text", "GSU"), made("text"), made("psmnist"))
    assert [(m["task"], m["model"]) for m in read_metrics(runs)] == [
        ("psmnist", "Binary S4D, linear"), ("text", "Binary S4D, linear"), ("text", "GSU"),
        ("other", "Binary S4D, linear"),
    ]


@pytest.mark.parametrize("text", [
    "{", "[]", "{}", '"\\ud800"', json.dumps(made(epochs=3)), json.dumps(made(model=None)),
    json.dumps(made("mitbih", classes=3)),
])
def test_a_file_that_is_no_metrics_is_refused_and_nothing_written(tmp_path, capsys, text):
    runs = write(tmp_path / "runs", made())
    (runs / "bad.json").write_text(text)
    target = tmp_path / "page.md"
    assert main([str(runs), str(target)]) == 2
    message = capsys.readouterr().err
    assert "bad.json is not the metrics.json of a finished run" in message
    assert "Copy the file again" in message
    assert not target.exists()


def test_a_page_in_a_directory_that_is_not_there_is_refused(tmp_path, capsys):
    runs = write(tmp_path / "runs", made())
    assert main([str(runs), str(tmp_path / "none" / "page.md")]) == 2
    assert capsys.readouterr().err == (
        f"FileError: cannot write {tmp_path / 'none' / 'page.md'}: No such file or directory. "
        "Name a file in a directory that exists, can be written to and has room.\n"
    )


def test_a_directory_without_metrics_is_refused(tmp_path):
    with pytest.raises(ResultsError, match=r"no \.json files in .*Copy the metrics\.json of a run"):
        read_metrics(tmp_path)


def test_every_task_has_a_title():
    assert set(TASKS) <= set(TITLES)
    assert {task for tasks in PUBLISHED.values() for task in tasks} <= set(TITLES)


def test_the_stored_page_is_what_the_command_makes_of_the_stored_metrics(tmp_path):
    target = tmp_path / "results.md"
    assert main([str(ROOT / "docs" / "results"), str(target)]) == 0
    assert target.read_text() == (ROOT / "docs" / "results.md").read_text()


def test_stored_metrics_are_called_by_model_and_task():
    for path in (ROOT / "docs" / "results").glob("*.json"):
        metrics = json.loads(path.read_text())
        words = f"{metrics['model']} {metrics['task']}".lower().replace(",", "").split()
        assert path.stem.startswith("-".join(words))
