"""Ticks a CPU second of the emulated board: its cores in C, and in Python, in one run.

``python benchmarks/board.py [--cores 4,8,40] [--ticks 100] [--json F]``. A chain of stock cores of
128 neurons each (``IF_curr_exp``, all to all, a source of 128 at the start). Of the processor time
of the board, while cores have their timers running: loading is not in it. Then ticks a second by
the clock, in one thread and in as many as there are processors and chips in use.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from export.boards.config import use_configuration
from pynn_models.spinnaker.board import EmulatedBoard, emulated_board
from pynn_models.spinnaker.board.chip import CoreMaker
from pynn_models.spinnaker.board.native_core import NativeCore
from pynn_models.spinnaker.board.python_core import PythonCore

NEURONS = 128
MAKERS: dict[str, CoreMaker] = {"Python": PythonCore, "C": NativeCore}
_SCRIPT = "--script"


def network(cores: int, ticks: int) -> None:
    """Run a chain of so many cores on the board of ``spynnaker.cfg`` in the current directory."""
    import numpy as np

    from export.pynn.built import simulator

    sim = simulator("spinnaker")
    rng = np.random.default_rng(1)
    sim.setup(timestep=1.0)
    times = [sorted(set(rng.integers(0, ticks, 1 + ticks // 50).tolist())) for _ in range(NEURONS)]
    before = sim.Population(NEURONS, sim.SpikeSourceArray(spike_times=times))
    for _ in range(cores):
        after = sim.Population(
            NEURONS, sim.IF_curr_exp(), additional_parameters={"neurons_per_core": NEURONS}
        )
        rows = [
            (i, j, weight, 1.0)
            for (i, j), weight in np.ndenumerate(rng.uniform(0, 0.06, (NEURONS, NEURONS)))
        ]
        sim.Projection(before, after, sim.FromListConnector(rows), sim.StaticSynapse())
        after.record("spikes")
        before = after
    sim.run(ticks)
    sim.end()


def measured(
    make: CoreMaker, cores: int, ticks: int, threads: int | None = None
) -> tuple[float, float]:
    """Ticks a CPU second, and a second by the clock, of a board with such cores."""
    with emulated_board(make=make) as board:
        board.threads = threads or board.threads
        run(board, cores, ticks)
        return board.ticks / board.seconds, board.ticks / board.elapsed


def run(board: EmulatedBoard, cores: int, ticks: int) -> None:
    """Run the chain as a script on a board that is started."""
    with tempfile.TemporaryDirectory(prefix="snn-ssm-") as directory:
        (Path(directory) / "spynnaker.cfg").write_text(board.configuration)
        environment = dict(os.environ)
        use_configuration(Path(directory), environment)
        here = os.fspath(Path(__file__).resolve().parents[1])
        environment["PYTHONPATH"] = here
        subprocess.run(
            [sys.executable, __file__, _SCRIPT, str(cores), str(ticks)],
            cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="4,8,40")
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    print("       ticks a CPU second      ticks a second by the clock, C")
    print("cores  Python     C  ratio     1 thread  threads  ratio")
    for cores in map(int, args.cores.split(",")):
        found = {}
        for name, make in MAKERS.items():
            found[name], found["clock"] = measured(make, cores, args.ticks)
        _, found["clock, one thread"] = measured(NativeCore, cores, args.ticks, threads=1)
        ratio, gain = found["C"] / found["Python"], found["clock"] / found["clock, one thread"]
        print(
            f"{cores:5} {found['Python']:7.1f} {found['C']:6.1f} {ratio:5.1f} "
            f"{found['clock, one thread']:12.1f} {found['clock']:8.1f} {gain:6.2f}",
            flush=True,
        )
        rows.append({"cores": cores, "ticks": args.ticks, **found, "ratio": ratio, "gain": gain})
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [_SCRIPT]:
        network(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
