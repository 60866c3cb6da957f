"""What ``snn-ssm evaluate`` prints: accuracy, cost, and each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.description.inspection import table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def evaluation_table(result: Mapping[str, Any]) -> str:
    """The report of an evaluation (``snn_ssm.training.evaluation.report``) as text."""
    operations = result["synaptic_operations"]
    rates = ", ".join(f"{rate:.3f}" for rate in result["spike_rates"]) or "none"
    costs = {
        "activation sparsity": _share(result["activation_sparsity"]),
        "effective ACs a sample": f"{operations['Effective_ACs']:,.0f}",
        "effective MACs a sample": f"{operations['Effective_MACs']:,.0f}",
        "dense operations a sample": f"{operations['Dense']:,.0f}",
        "MACs of the modes a sample": f"{result['Mode_MACs']:,}",
        "parameters": f"{result['parameters']:,}",
        "footprint": f"{result['footprint']:,} bytes",
        "connection sparsity": _share(result["connection_sparsity"]),
    }
    classes = [
        [row["name"], f"{row['count']:,}", _share(row["sensitivity"]), _share(row["predictivity"])]
        for row in result["classes"]
    ]
    return "\n".join([
        f"{result['model']}, {result['task']}: accuracy {result['test_accuracy']:.2%} on "
        f"{result['test_samples']} samples; spike rate {rates}",
        "",
        *(f"{name:27} {value}" for name, value in costs.items()),
        "",
        table(["class", "samples", "sensitivity", "predictivity"], classes),
    ])
