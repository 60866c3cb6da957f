"""What ``verify`` found, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.description.inspection import quantised_words
from export.description.network import Network
from export.pages.figure_style import ReportError
from export.pages.page import Section
from export.verification.contract import differing

_ROWS = {
    "E1": (
        "the three ways to compute a layer: convolution, scan, step by step; float64",
        "equal to 1e-10 of the largest value; in the project's tests",
    ),
    "E2": ("the trained model step by step in float64, and software", "every spike the same"),
    "E3": ("software and NEST, many samples in one run", "every spike the same"),
    "E4": (
        "SpiNNaker's integers in software and the board's programs",
        "every bit of spikes, membranes and weights",
    ),
    "E5": (
        "training's float32 convolution and the trained model step by step",
        "the same class on at least 99.9 % of samples",
    ),
    "E6": ("a network and what comes back from an interchange format", "every spike the same"),
}


def verdict(verification: Mapping[str, Any]) -> tuple[str, bool]:
    """The page in one sentence, and whether it is a good one."""
    contract = of(verification, "contract")
    broken = [row for row, holds in contract.items() if not holds]
    samples, spikes = int(of(verification, "samples")), int(of(verification, "spikes"))
    if broken:
        return f"{', '.join(broken)} does not hold on {samples} samples.", False
    reference = of(verification, "reference")
    apart = differing({"reference": reference, "backends": of(verification, "backends")})
    if apart:
        return (
            f"Spikes of {', '.join(apart)} differ from those of {reference} on {samples} samples.",
            False,
        )
    rows = f"{', '.join(contract)} hold" if contract else "No row of the contract was compared"
    return f"{rows}: {samples} samples, {spikes:,} spikes compared.", True


def comparison(verification: Mapping[str, Any]) -> Section:
    """A table of the backends, and one of the contract: every row, explained."""
    spikes = int(of(verification, "spikes"))
    backends: list[dict[str, object]] = []
    for name, found in of(verification, "backends").items():
        where = f"verification of {name!r}"
        divergence = of(found, "first_divergence", where)
        backends.append(
            {
                "backend": name,
                **_scores(of(found, "accuracy", where), found),
                "spikes of the reference": f"{spikes:,}",
                "mismatched spikes": f"{int(of(found, 'mismatched_spikes', where)):,}",
                "seconds": f"{float(of(found, 'seconds', where)):.2f}",
                "first divergence": listed(divergence) if divergence else "none",
            }
        )
    contract = of(verification, "contract")
    said = {True: "holds", False: "DOES NOT HOLD", None: "not compared"}
    rows = [
        {"row": row, "compared": compared, "must hold": must, "here": said[contract.get(row)]}
        for row, (compared, must) in _ROWS.items()
    ]
    text = [
        "Several runs of one network, spike for spike. The first backend is the reference. Each "
        "row of the contract names two computations and what must hold between them."
    ]
    if "E5" in verification:
        found = verification["E5"]
        text.append(
            f"Training's float32 convolution differs in {found['mismatched_spikes']:,} spikes, "
            "where a membrane lies nearer its threshold than float32 resolves; "
            f"{found['same_class']:.2%} of answers are the same."
        )
    if verification.get("quantiser"):
        text.append(". ".join(line[0].upper() + line[1:] for line in quantised_words(verification))
                    + ".")
    if verification.get("ties"):
        text.append(
            f"{verification['ties']['membranes']:,} membranes are at their threshold but for "
            "rounding: there, which way a spike falls is decided by the network's own threshold, "
            "which is set clear of ties."
        )
    return Section("What was compared", text, [backends, rows])


def _scores(accuracy: float | None, found: Mapping[str, Any]) -> dict[str, object]:
    """How good a backend's answers are: of values, R^2 and the mean error."""
    if accuracy is not None:
        return {"accuracy (%)": f"{100 * float(accuracy):.2f}"}
    r2, mae = found.get("r2"), found.get("mae")
    return {
        "R²": "-" if r2 is None else f"{r2:.4f}",
        "mean |error|": "-" if mae is None else f"{mae:.4g}",
    }


def layers(network: Network, verification: Mapping[str, Any]) -> list[dict[str, object]]:
    """A row a layer: its rate, its smallest margin, and the mismatches of every backend."""
    rows: list[dict[str, object]] = []
    for p in network.layers:
        found = of(of(verification, "layers"), p.name)
        margin = of(found, "smallest_margin")
        mismatched = found.get("mismatched_spikes", {})
        rows.append(
            {
                "layer": p.name,
                "neurons": p.size,
                "spikes per neuron and step": f"{float(of(found, 'spike_rate')):.4f}",
                "smallest margin |y - θ|": "not recorded" if margin is None else f"{margin:.2e}",
                **{
                    f"mismatched, {name}": f"{mismatched.get(name, 0):,}"
                    for name in of(verification, "backends")
                    if name != of(verification, "reference")
                },
            }
        )
    return rows


def of(table: Mapping[str, Any], key: str, where: str = "verification") -> Any:
    """``table[key]``; raises :class:`ReportError` where there is none."""
    if key not in table:
        raise ReportError(
            f"{where} has no {key!r}; it has {', '.join(table) or 'nothing'}. Expected what "
            "'snn-ssm verify --json' writes: run it again with this version."
        )
    return table[key]


def listed(table: Mapping[str, Any]) -> str:
    """``key value`` pairs, commas between; what is None is left out."""
    return ", ".join(f"{key} {value}" for key, value in table.items() if value is not None)
