"""Prints the instructions that the native cells' C cores take per neuron and step on ARM.

    python benchmarks/arm_instructions.py

Counted under qemu-arm, one log line an instruction. Needs Debian's gcc-arm-none-eabi and
qemu-user. Instructions are not cycles: an ARM968 runs perhaps 0.6 to 0.8 of them a cycle.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pynn_models import History, Reset, StateSpaceCell
from pynn_models.spinnaker import NativeParameters, plan_scaling, quantise_cell
from pynn_models.spinnaker.gated_parameters import GatedBranches, GatedParameters, GradedWeights

RUNNER = Path(__file__).resolve().parents[1] / "tests" / "support" / "arm" / "runner.py"
BUILDS = {
    "-O2": ("-marm", "-O2"),
    "-Ofast": ("-marm", "-Ofast"),
    "-O2, portable C": ("-marm", "-O2", "-DSTATE_SPACE_PORTABLE"),
    "-Os": ("-marm", "-Os"),
}
MODES = (4, 16, 32)
STEPS, FULL = 4, 10
DOES = ("nothing", "spikes", "rests")
MEMBERS = {  # the kind of reset, the steps of a history
    "plain": ("", 0), "soft reset": ("soft", 0), "hard reset": ("hard", 0),
    "history 1": ("", 1), "history 4": ("", 4), "history 8": ("", 8),
    "soft reset, history 4": ("soft", 4),
}  # fmt: skip
BYTES = {True: 24, False: 12}
BUDGET = 200_000  # cycles a ms on the board


def cell(
    neurons: int, modes: int, rotating: bool, member: str = "plain", does: str = "nothing"
) -> NativeParameters:
    """Some cell of that size: which, does not change the count.

    ``does``: ``nothing``, never above its threshold; ``spikes``, at every step; ``rests``, silent
    after one spike.
    """
    shape, (reset, steps) = (neurons, modes), MEMBERS[member]
    r = {"r_re": np.zeros(shape)} if reset == "soft" else {}
    r |= {"r_im": np.zeros(shape)} if reset == "soft" and rotating else {}
    model = StateSpaceCell(
        tau=np.full(shape, 50.0),
        omega=np.full(shape, 0.3) if rotating else None,
        c_re=np.full(shape, 0.1),
        c_im=np.full(shape, 0.1) if rotating else None,
        d=np.ones(neurons),
        theta=np.full(neurons, 1.0 if does == "nothing" else -1.0),
        bias=np.zeros(neurons),
        reset=Reset(**r, refractory=100 if does == "rests" else 0) if reset else None,
        history=History(a=np.zeros((neurons, steps))) if steps else None,
    )
    return quantise_cell(model, 1.0, plan_scaling(model, 1.0, input_bound=1.0, steps=100))


def per_neuron(
    tools: dict[str, Any], program: Path, modes: int, rotating: bool, member: str = "plain",
    does: str = "nothing",
) -> float:  # fmt: skip
    """Instructions per neuron and step: what a second and third neuron add, once histories are
    full."""
    counts = [
        tools["count_instructions"](
            program, cell(n, modes, rotating, member, does), np.zeros((steps, n), np.int32)
        )
        for n in (1, 3)
        for steps in (FULL, FULL + STEPS)
    ]
    return float((counts[3] - counts[2]) - (counts[1] - counts[0])) / 2 / STEPS


def member_rows(tools: dict[str, Any], program: Path) -> None:
    """What each member of the family takes: ``base + slope N``, N the number of modes."""
    print(f"\n{'member, -Ofast':24}{'modes':10}" + "".join(f"{d:>16}" for d in DOES))
    for member, (reset, _) in MEMBERS.items():
        for rotating in (True, False):
            row = ""
            for does in DOES:
                if does == "rests" and not reset:
                    row += f"{'':>16}"
                    continue
                few, many = (per_neuron(tools, program, n, rotating, member, does) for n in (4, 32))
                slope = (many - few) / 28
                row += f"{f'{few - 4 * slope:.0f} + {slope:.0f} N':>16}"
            print(f"{member:24}{'complex' if rotating else 'real':10}{row}")


def gated_cell(neurons: int, kind: str, branches: int, sources: int) -> GatedParameters:
    """Some neurons without modes: P branches, and a graded projection if there are sources."""
    plain = cell(neurons, int(kind == "egru"), kind != "egru")
    shape = (neurons, branches)
    integers = {
        name: np.full(shape, value, np.int32)
        for name, value in (
            ("value_bias", 1 << 20), ("gate_bias", 1 << 20), ("offset", 0), ("gain", 1 << 20),
            ("first", 20), ("index", 8), ("last", 20),
        )
    }  # fmt: skip
    weights = np.ones((sources, neurons), np.int16)
    graded = (GradedWeights(weights, np.full(neurons, 9, np.int32), 0),) if sources else ()
    return GatedParameters(
        cell=plain,
        bias=np.zeros(neurons, np.int32),
        send=np.full(neurons, 0 if kind == "egru" else 4, np.int32),
        branches=GatedBranches(kind=kind, **integers) if branches else None,
        graded=graded,
    )


def gated_rows(tools: dict[str, Any], program: Path) -> None:
    """What gated inputs cost beside the modes: the neuron, a branch, a graded source."""

    def counted(kind: str, branches: int, sources: int) -> float:
        found = []
        for n in (1, 3):
            p = gated_cell(n, kind, branches, sources)
            arriving = np.zeros((STEPS, n, p.n_receptors), np.int32)
            values = np.zeros((STEPS, sources), np.int32)
            found.append(tools["count_gated_instructions"](program, p, arriving, values))
        return float(found[1] - found[0]) / 2 / STEPS

    tools["build"](program, "-marm", "-Ofast", driver=tools["GATED_DRIVER"])
    none = counted("", 0, 0)
    print(f"gated, -Ofast: a neuron without modes {none:.0f}", end="")
    for kind in ("glu", "gsu"):
        print(f", a branch of {kind} {(counted(kind, 3, 0) - counted(kind, 1, 0)) / 2:.0f}", end="")
    few, many = counted("", 0, 16), counted("", 0, 64)
    print(f", an event-based unit {counted('egru', 2, 0):.0f}", end="")
    print(f", a graded source {(many - few) / 48:.1f}")


def main() -> int:
    """A row for each build and kind of mode, and for each member of the family."""
    tools = runpy.run_path(str(RUNNER))
    if tools["missing_tools"]():
        print(f"not installed: {', '.join(tools['missing_tools']())}", file=sys.stderr)
        return 1
    columns = "".join(f"{f'N = {n}':>9}" for n in MODES)
    print(f"{'build':18}{'modes':10}{columns}{'a mode':>9}{'bytes a cell, N = 16':>23}")
    with tempfile.TemporaryDirectory() as directory:
        for name, options in BUILDS.items():
            program = tools["build"](Path(directory) / "driver", *options)
            for rotating in (True, False):
                counts = [per_neuron(tools, program, n, rotating) for n in MODES]
                slope = (counts[-1] - counts[0]) / (MODES[-1] - MODES[0])
                row = "".join(f"{c:9.0f}" for c in counts) + f"{slope:9.1f}"
                kind = "complex" if rotating else "real"
                print(f"{name:18}{kind:10}{row}{16 + 16 * BYTES[rotating]:23d}")
        program = tools["build"](Path(directory) / "driver", *BUILDS["-Ofast"])
        member_rows(tools, program)
        gated_rows(tools, Path(directory) / "gated")
    print(f"A core has {BUDGET:,} cycles a step of 1 ms.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
