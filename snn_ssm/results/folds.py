"""What all folds of a cross-validation say together: ``python -m snn_ssm.results.folds RUN ...``.

    counts = valid_counts of all folds, merged (``OutputKind.merge``: for classes their sum)

``RUN``: the directories of the K runs with ``task.valid_fold = "1/K"`` ... ``"K/K"``, whose
configurations are otherwise the same. Every training sample was held out once, and what is told of
them is what would be told of one set of samples. Imports no torch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from pynn_models.errors import SnnSsmError, printable
from snn_ssm.config import Config, load
from snn_ssm.files import read_bytes
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.kinds.outputs.answered import no_counts
from snn_ssm.kinds.outputs.kind import FloatArray, OutputKind
from snn_ssm.reading import LARGEST_TEXT, parse_json
from snn_ssm.results.page import ResultsError


def pooled(runs: Sequence[Path]) -> dict[str, Any]:
    """The metrics of the samples that any of the folds held out, ``classes`` among them.

    Raises :class:`ResultsError` for runs that are not the folds of one cross-validation,
    ``FileError`` and ``ConfigError`` for files that cannot be read.
    """
    configs = [load(Path(run) / "config.toml") for run in runs]
    _check_folds(runs, configs)
    kind = OUTPUTS[configs[0].model.output]
    counts, names = zip(*(_read(Path(run), kind) for run in runs), strict=True)
    if len({(c.shape, tuple(n)) for c, n in zip(counts, names, strict=True)}) > 1:
        raise ResultsError(
            f"the runs {', '.join(map(str, runs))} tell different classes or values. Train them "
            "again on the same data."
        )
    return kind.metrics(reduce(kind.merge, counts), names[0])


def _check_folds(runs: Sequence[Path], configs: Sequence[Config]) -> None:
    """Raise :class:`ResultsError` unless these are the parts 1 ... K of K, and alike."""
    found = [config.task.valid_fold for config in configs]
    expected = [f"{i}/{len(runs)}" for i in range(1, len(runs) + 1)]
    if sorted(found) != sorted(expected):
        raise ResultsError(
            f"the runs have task.valid_fold {', '.join(repr(fold) for fold in found)}; expected "
            f"{', '.join(expected)}, each once. Give all folds of one cross-validation."
        )
    alike = [replace(c, task=replace(c.task, valid_fold="")) for c in configs]
    for run, config in zip(runs, alike, strict=True):
        if config != alike[0]:
            raise ResultsError(
                f"the configuration of {run} is another than that of {runs[0]}; expected the same "
                "but for task.valid_fold. Give the folds of one cross-validation."
            )


def _read(run: Path, kind: OutputKind) -> tuple[FloatArray, list[str]]:
    path = run / "metrics.json"
    try:
        metrics = parse_json(read_bytes(path, "metrics", LARGEST_TEXT))
        names = [str(row["name"]) for row in metrics["valid_classes"]]
        counts = np.array(metrics["valid_counts"], np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{path} is not the metrics.json of a fold ({type(error).__name__}: {error}). Train "
            "with task.valid_fold."
        ) from error
    if counts.shape != no_counts(kind, len(names)).shape or not np.isfinite(counts).all():
        raise ResultsError(
            f"{path} has valid_counts of shape {counts.shape} for {len(names)} classes or values. "
            "Train the fold again."
        )
    return counts, names


def table(metrics: dict[str, Any]) -> str:
    """The metrics, and a row a class, label or value, as Markdown."""
    scores = {k: value for k, value in metrics.items() if k != "classes" and value is not None}
    rows = [list(row.values()) for row in metrics["classes"]]
    lines = [list(metrics["classes"][0]), ["---"] * len(rows[0]), *rows]
    said = ", ".join(f"{name} {_cell(value)}" for name, value in scores.items())
    return "\n".join([said, "", *(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)])


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 0 done, 2 refused (the reason on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m snn_ssm.results.folds", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of each fold")
    try:
        print(table(pooled(parser.parse_args(argv).runs)))
    except SnnSsmError as error:
        print(printable(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
