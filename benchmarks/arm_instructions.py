"""Prints the instructions that the native cell's C core takes per neuron and step on ARM.

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

from pynn_models import StateSpaceCell
from pynn_models.spinnaker import NativeParameters, plan_scaling, quantise_cell

RUNNER = Path(__file__).resolve().parents[1] / "tests" / "support" / "arm" / "runner.py"
BUILDS = {
    "-O2": ("-marm", "-O2"),
    "-Ofast": ("-marm", "-Ofast"),
    "-O2, portable C": ("-marm", "-O2", "-DSTATE_SPACE_PORTABLE"),
    "-Os": ("-marm", "-Os"),
}
MODES = (4, 16, 32)
STEPS = 4
BYTES = {True: 24, False: 12}
BUDGET = 200_000  # cycles a ms on the board


def cell(neurons: int, modes: int, rotating: bool) -> NativeParameters:
    """Some cell of that size: which, does not change the count."""
    shape = (neurons, modes)
    model = StateSpaceCell(
        tau=np.full(shape, 50.0),
        omega=np.full(shape, 0.3) if rotating else None,
        c_re=np.full(shape, 0.1),
        c_im=np.full(shape, 0.1) if rotating else None,
        d=np.ones(neurons),
        theta=np.ones(neurons),
        bias=np.zeros(neurons),
    )
    return quantise_cell(model, 1.0, plan_scaling(model, 1.0, input_bound=1.0, steps=100))


def per_neuron(tools: dict[str, Any], program: Path, modes: int, rotating: bool) -> float:
    """Instructions per neuron and step: what a second and third neuron add."""
    one, three = (
        tools["count_instructions"](
            program, cell(n, modes, rotating), np.zeros((STEPS, n), np.int32)
        )
        for n in (1, 3)
    )
    return float(three - one) / 2 / STEPS


def main() -> int:
    """A row for each build and kind of mode."""
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
    print(f"A core has {BUDGET:,} cycles a step of 1 ms.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
