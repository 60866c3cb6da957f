"""What ``snn-ssm evaluate`` prints: how good the answers are, cost, and each class or value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.description.inspection import table
from snn_ssm.kinds.outputs import OUTPUTS

_SHARES = ("sensitivity", "predictivity", "f1")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _cell(key: str, value: Any) -> str:
    if key in _SHARES:
        return _share(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def evaluation_table(result: Mapping[str, Any]) -> str:
    """The report of an evaluation (``snn_ssm.training.evaluation.report``) as text."""
    operations = result["synaptic_operations"]
    rates = ", ".join(f"{rate:.3f}" for rate in result["spike_rates"]) or "none"
    kind = OUTPUTS[result["output"]]
    found = {key.removeprefix("test_"): value for key, value in result.items()}
    macro = found.get("macro_f1")
    costs = {
        **({} if macro is None else {"macro F1": _share(macro)}),
        "activation sparsity": _share(result["activation_sparsity"]),
        "effective ACs a sample": f"{operations['Effective_ACs']:,.0f}",
        "effective MACs a sample": f"{operations['Effective_MACs']:,.0f}",
        "dense operations a sample": f"{operations['Dense']:,.0f}",
        "MACs of the modes a sample": f"{result['Mode_MACs']:,.0f}",
        "parameters": f"{result['parameters']:,}",
        "footprint": f"{result['footprint']:,} bytes",
        "connection sparsity": _share(result["connection_sparsity"]),
    }
    rows = result["classes"]
    what = "value" if kind.real else "label" if kind.vector else "class"
    header = [what, "steps" if kind.each_step else "samples", *list(rows[0])[2:]]
    warnings = [f"warning: {text}" for text in result["warnings"]]
    return "\n".join([
        f"{result['model']}, {result['task']}: {kind.headline(found)} on "
        f"{result['test_samples']} samples; spike rate {rates}",
        "",
        *(f"{name:27} {value}" for name, value in costs.items()),
        "",
        table(header, [[_cell(key, value) for key, value in row.items()] for row in rows]),
        *(["", *warnings] if warnings else []),
    ])
