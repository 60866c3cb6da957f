"""NEST over processes of MPI and threads: strong and weak scaling, and a model of what sizes cost.

    python benchmarks/scaling.py                 the model, and threads
    python benchmarks/scaling.py --ranks 4       the same, and up to 4 processes of mpiexec

Scaling: one network on 1 to 4 processes x threads, and one that grows with them. Printed are ratios
to one process with one thread, of the wall clock and of the processor time of the slowest process,
and whether spikes and membranes are the same: the exit status is 1 where they are not. More than
one process needs a NEST built with MPI and mpiexec (docs/how-to/scale.md).

Model: costs are counts times constants, which are fitted to runs of several sizes in one process,
each in a Python of its own (non-negative least squares of relative errors)::

    bytes = m0 + m1 neurons + m2 synapses + m3 neurons steps + m4 values
    build = b0 + b1 neurons + b2 synapses                                     processor seconds
    run   = r1 neurons steps + r2 events
    read  = g1 populations + g2 neurons steps + g3 values

and compared with a larger run that the fit has not seen. No target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import _timing  # first, see there
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

_PROGRAM = Path(__file__).resolve().parent / "_grown.py"
_FIT = [  # layers, neurons in each, steps, layers whose membranes are recorded
    (8, 64, 100, 0), (32, 64, 100, 0), (64, 64, 50, 0), (8, 256, 100, 0), (16, 256, 50, 4),
    (8, 256, 200, 8), (2, 1024, 50, 0), (4, 1024, 50, 1),
]
_LARGER = (12, 1024, 100, 2)
_STRONG, _WEAK = (4, 512, 100, 4), (4, 256, 100, 4)
_TERMS: dict[str, tuple[str, ...]] = {
    "bytes": ("one", "neurons", "synapses", "neuron-steps", "values"),
    "build": ("one", "neurons", "synapses"),
    "run": ("neuron-steps", "events"),
    "read": ("populations", "neuron-steps", "values"),
}


def once(case: tuple[int, int, int, int], ranks: int = 1, threads: int = 1) -> dict[str, Any]:
    """What a run of a network costs, in processes of its own."""
    keys = ("layers", "size", "steps", "recorded")
    wanted = json.dumps(dict(zip(keys, case, strict=True)) | {"threads": threads})
    mpi = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    command = [*mpi, sys.executable, str(_PROGRAM), wanted]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def scaling(most: int) -> bool:
    """Print both tables; whether all results are the same."""
    same = True
    shared = [(r, t) for r in (1, 2, 3, 4) for t in (1, 2, 4) if r * t <= 4 and r <= most]
    for name, case, grows in (("strong", _STRONG, False), ("weak", _WEAK, True)):
        print(f"{name} scaling: {case[0]} layers of {case[1]}{' a process and thread' * grows}")
        base = once(case)
        for ranks, threads in shared:
            share = ranks * threads if grows else 1
            wide = (case[0] * share, *case[1:])
            alone = once(wide)
            found = once(wide, ranks, threads)
            equal = found["digest"] == alone["digest"]
            same = same and equal
            times = [
                "build {:.2f} wall {:.2f} cpu, run {:.2f} wall {:.2f} cpu".format(
                    *(found[kind][at] / base[kind][at] for at in (0, 1) for kind in ("wall", "cpu"))
                )
            ]
            print(
                f"  {ranks} x {threads}: {found['neurons']} neurons, {times[0]}, "
                f"{found['bytes'] / base['bytes']:.2f} bytes; mismatches: {'0' if equal else 'YES'}"
            )
    return same


def counts(found: dict[str, Any]) -> dict[str, float]:
    """What the model's terms count."""
    return {
        "one": 1.0, "neurons": found["neurons"], "synapses": found["synapses"],
        "populations": found["populations"], "neuron-steps": found["neurons"] * found["steps"],
        "events": found["events"], "values": found["values"],
    }


def cost(found: dict[str, Any], what: str) -> float:
    """Measured bytes, or processor seconds."""
    if what == "bytes":
        return float(found["bytes"])
    return float(found["cpu"][["build", "run", "read"].index(what)])


def fitted(runs: list[dict[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """The constants of each cost, as the head of this file has them."""
    constants = {}
    for what, terms in _TERMS.items():
        rows = np.array([[counts(run)[term] for term in terms] for run in runs])
        paid = np.array([cost(run, what) for run in runs])
        constants[what], _ = nnls(rows / paid[:, None], np.ones(len(runs)))
    return constants


def said(what: str, value: float) -> str:
    """A cost with its unit."""
    return f"{value / 1e9:.2f} GB" if what == "bytes" else f"{value:.1f} s"


def model() -> None:
    """Print the constants, what the larger run costs by them and in truth, and a table of sizes."""
    runs = [once(case) for case in _FIT]
    constants = fitted(runs)
    print("the model, of one process and thread:")
    for what, terms in _TERMS.items():
        values = ", ".join(f"{v:.3g} x {t}" for t, v in zip(terms, constants[what], strict=True))
        print(f"  {what} = {values}")

    def predicted(of: dict[str, float], what: str) -> float:
        return float(sum(v * of[t] for t, v in zip(_TERMS[what], constants[what], strict=True)))

    larger = once(_LARGER)
    print(f"a larger run, not fitted: {larger['neurons']} neurons, {larger['synapses']} synapses")
    for what in _TERMS:
        by_model, paid = predicted(counts(larger), what), cost(larger, what)
        print(f"  {what}: predicted {said(what, by_model)}, measured {said(what, paid)}, "
              f"{by_model / paid:.2f} of it")
    print("predicted: 10 populations, 1000 steps, in each a tenth of the neurons spikes, recorded:")
    for neurons in (10**4, 10**5, 10**6):
        for fan_out in (100, 1000):
            of = {
                "one": 1.0, "neurons": neurons, "synapses": neurons * fan_out,
                "populations": 10.0, "neuron-steps": 1e3 * neurons,
                "events": 1e2 * neurons * fan_out, "values": 0.0,
            }
            costs = ", ".join(f"{what} {said(what, predicted(of, what))}" for what in _TERMS)
            print(f"  {neurons:>8} neurons of {fan_out:>4} synapses: {costs}")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ranks", type=int, default=1, help="processes at most (default: 1)")
    args = parser.parse_args()
    print(_timing.machine())
    model()
    return 0 if scaling(args.ranks) else 1


if __name__ == "__main__":
    sys.exit(main())
