"""The page of results from stored ``metrics.json`` files: ``python -m snn_ssm.results DIR PAGE``.

``DIR`` holds one copy of a run's ``metrics.json`` for each row, ``<model>-<task>.json``. Imports no
torch.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pynn_models.errors import SnnSsmError, printable
from snn_ssm.files import read_bytes, write_atomic
from snn_ssm.reading import LARGEST_TEXT, parse_json
from snn_ssm.results.labels import family

Metrics = Mapping[str, Any]

TITLES = {
    "smnist": "sMNIST",
    "psmnist": "psMNIST",
    "listops": "ListOps",
    "text": "Text",
    "retrieval": "Retrieval",
    "image": "Image",
    "pathfinder": "Pathfinder",
    "path-x": "Path-X",
    "mitbih": "MIT-BIH",
    "mitbih-intervals": "MIT-BIH with intervals",
    "own": "Own data",
    "n-parity": "N-parity",
    "n-dms": "N-DMS",
}
# Per cent. Binary S4D and GSU: Stan & Rhodes, arXiv 2401.00955; the Transformer: Tay et al. 2021.
PUBLISHED = {
    "Binary S4D": {
        "smnist": 99.4, "listops": 54.80, "text": 82.50, "retrieval": 85.03, "image": 82.00,
        "pathfinder": 82.60, "path-x": 61.20,
    },
    "GSU": {
        "listops": 59.60, "text": 86.50, "retrieval": 90.22, "image": 85.00, "pathfinder": 91.30,
    },
    "Transformer": {
        "listops": 36.37, "text": 64.27, "retrieval": 57.46, "image": 42.44, "pathfinder": 71.40,
    },
}
# The classes are unequal there, and accuracy says little.
CLASS_TABLES = ("mitbih", "mitbih-intervals")
_HEAD = """\
# Results

Made by `python -m snn_ssm.results docs/results docs/results.md` from the `metrics.json` of each run
(`docs/results/<model>-<task>.json`). Accuracy is that of the last epoch on the whole test set:
nothing is selected by it. The published accuracy is that of the model named before the first comma,
of the size and after the training of its paper; brackets after the task name our data where they
are not the paper's. Synaptic operations are those of one sample, zero weights and zero signals left
out, of how many there would be with them; the neurons' own multiplications are not among them
(`snn_ssm/results/metrics.py` says what is counted). Minutes are those of the training steps, on a
machine that may have had other work.
"""


_MARKDOWN = re.compile(r"[\\`*\[\]|]")


class ResultsError(SnnSsmError):
    """A file that is no run's metrics."""


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The metrics in a directory, in the order of their tasks and models.

    Raises :class:`ResultsError` naming a file that is none, ``FileError`` for one it cannot read.
    """
    paths = sorted(Path(directory).glob("*.json"))
    if not paths:
        raise ResultsError(
            f"there are no .json files in {directory}. Copy the metrics.json of a run there, as "
            "<model>-<task>.json."
        )
    found = [_read(path) for path in paths]
    tasks = list(TITLES)
    return sorted(
        found,
        key=lambda m: (tasks.index(m["task"]) if m["task"] in tasks else len(tasks), m["model"]),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        metrics: dict[str, Any] = parse_json(read_bytes(path, "metrics", LARGEST_TEXT))
        if not isinstance(metrics["model"], str) or not isinstance(metrics["task"], str):
            raise TypeError(f"model is {metrics['model']!r}, task {metrics['task']!r}")
        page([metrics])
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ResultsError(
            f"{path} is not the metrics.json of a finished run ({type(error).__name__}: {error}). "
            "Copy the file again, or train with this version."
        ) from error
    return metrics


def _count(value: float) -> str:
    """A number of operations to three digits."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # which three digits round up to one of the unit
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def _operations(found: Mapping[str, float]) -> str:
    kinds = {"ACs": found["Effective_ACs"], "MACs": found["Effective_MACs"]}
    parts = [f"{_count(value)} {name}" for name, value in kinds.items() if value]
    return f"{' + '.join(parts)} of {_count(found['Dense'])}"


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _title(metrics: Metrics) -> str:
    """The task, and the data where they are not those of published results."""
    name = TITLES.get(metrics["task"], str(metrics["task"]))
    return f"{name} ({metrics['data']})" if metrics.get("data") else name


def _row(metrics: Metrics) -> list[str]:
    """One run as cells of the table."""
    task, model, rates = metrics["task"], metrics["model"], metrics["spike_rates"]
    published = PUBLISHED.get(family(model), {}).get(task)
    started = ", from a trained model" if metrics["init"] else ""
    return [
        _title(metrics),
        model,
        "-" if published is None else f"{published:.2f}",
        _per_cent(metrics["test_accuracy"]),
        f"{metrics['steps']:,}",
        f"{metrics['parameters']:,}",
        _per_cent(sum(rates) / len(rates) if rates else None),
        _operations(metrics["synaptic_operations"]),
        f"{len(metrics['epochs'])}{started}",
        f"{metrics['train_samples']:,}",
        str(metrics["hardware"]),
        f"{metrics['seconds'] / 60:.0f}",
    ]


def _text(text: str) -> str:
    """A text as Markdown shows it: no cell, link, emphasis or HTML of its own."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", html.escape(text, quote=False))
    return "".join(c if c.isprintable() else " " for c in escaped)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *(map(_text, row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _class_table(metrics: Metrics) -> str:
    rows = [
        [row["name"], f"{row['count']:,}", _per_cent(row["sensitivity"]),
         _per_cent(row["predictivity"])]
        for row in metrics["classes"]
    ]
    run = f"epochs: {len(metrics['epochs'])}, training samples: {metrics['train_samples']:,}"
    title = _text(f"{_title(metrics)}: {metrics['model']}, {run}")
    header = ["class", "test samples", "sensitivity %", "positive predictivity %"]
    return f"### {title}\n\n{_table(header, rows)}"


def not_run(runs: Sequence[Metrics]) -> list[str]:
    """Every published model and task of which no run is of that model, in whatever variant."""
    done = {(family(m["model"]), m["task"]) for m in runs}
    return [
        f"{model} on {TITLES[task]} ({accuracy:.2f} %)"
        for model, tasks in PUBLISHED.items()
        for task, accuracy in tasks.items()
        if (model, task) not in done
    ]


def page(runs: Sequence[Metrics]) -> str:
    """The page as Markdown: all runs, the class tables, and what was published but not run."""
    header = [
        "task", "model", "published %", "ours %", "steps", "parameters", "spike rate %",
        "synaptic operations", "epochs", "training samples", "hardware", "minutes",
    ]
    parts = [_HEAD, _table(header, map(_row, runs))]
    tables = [_class_table(m) for m in runs if m["task"] in CLASS_TABLES]
    if tables:
        parts += ["## Class by class\n", *tables]
    missing = not_run(runs)
    if missing:
        lines = "\n".join(f"- {text}" for text in missing)
        parts += ["## Not run\n", f"Published, and no run of ours:\n\n{lines}\n"]
    return "\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; 0 done, 2 refused (the reason on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m snn_ssm.results", description=__doc__)
    parser.add_argument("runs", type=Path, metavar="DIR", help="<model>-<task>.json of each run")
    parser.add_argument("page", type=Path, metavar="PAGE", help="the Markdown file to write")
    args = parser.parse_args(argv)
    try:
        write_atomic(args.page, page(read_metrics(args.runs)).encode())
    except SnnSsmError as error:
        print(printable(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return 2
    return 0

