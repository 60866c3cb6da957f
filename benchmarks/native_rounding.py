"""Prints what slow modes lose to truncation and to rounding to nearest.

    python benchmarks/native_rounding.py

All errors in units of the state's last place; a state has 31 bits and a sign.
"""

from __future__ import annotations

from pynn_models.spinnaker.rounding import rounding_error

TAUS = (10, 100, 1_000, 10_000, 100_000)
CASES = (("real", 0.0, False), ("real, negative input", 0.0, True), ("omega = 0.3", 0.3, False))


def main() -> None:
    """A row for each mode and rounding."""
    columns = ("mean error", "rms error", "largest", "rest after 30 tau", "largest / peak")
    print(f"{'mode':22}{'tau':>8}  {'rounding':10}" + "".join(f"{c:>19}" for c in columns))
    for name, omega, negative in CASES:
        for tau in TAUS:
            for nearest in (False, True):
                e = rounding_error(tau, omega, nearest=nearest, negative=negative)
                label = "nearest" if nearest else "truncation"
                numbers = f"{e.mean:19.2f}{e.rms:19.2f}{e.largest:19.2f}{e.rest:19d}"
                print(f"{name:22}{tau:8d}  {label:10}{numbers}{e.largest / e.peak:19.1e}")


if __name__ == "__main__":
    main()
