"""A training step on two threads or two processes against one, and what the machine has at most.

A step is that of ``benchmarks/training.py`` (forward, loss and backward of four blocks of 64
channels and 16 complex modes). Compared by turns, by the wall clock: one process of one thread; one
of two threads; one run on two processes of a thread each, as ``torchrun`` starts it, which share
each batch and exchange gradients and the statistics of norms; and two processes at once with steps
of their own, which wait for nothing of each other's but memory and the clock. The last is twice as
much work; its speed against one process's is the limit of what two of anything can gain here.

Target: two threads >= 1.7 x. On a machine of two cores nothing else may run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import _timing  # first, see there
import torch
from torch import distributed, nn
from training import CLASSES, MIXINGS, Size, project, size

from snn_ssm.training.allocation import keep_memory
from snn_ssm.training.distributed import World, share_norms

SIZES: list[Size] = [(784, 32), (4096, 6)]
STEPS, REPETITIONS, TARGET = 4, 5, 1.7
PROCESSES = 2


def work(mixing: str, at: Size, rank: int, store: str, pipe: Connection) -> None:
    """Make a network, alone and shared; then, when told which and with how many threads, report
    the seconds of a step."""
    keep_memory()
    inputs = torch.randint(0, 256, (at[1], 1, at[0]), dtype=torch.uint8)
    labels = torch.arange(at[1]) % CLASSES
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=PROCESSES
    )

    def steps_of(world: World) -> Callable[[], None]:
        torch.manual_seed(0)
        network = project(MIXINGS[mixing])
        share_norms(network, world)
        part = slice(world.rank, None, world.size)

        def steps(count: int = STEPS) -> None:
            for _ in range(count):
                network.zero_grad()
                nn.functional.cross_entropy(network(inputs[part]).logits, labels[part]).backward()
                world.sum_gradients(network.parameters())

        steps(1)
        return steps

    ways = {False: steps_of(World()), True: steps_of(World(rank, PROCESSES))}
    while told := pipe.recv():
        threads, shared = told
        torch.set_num_threads(threads)
        pipe.send(_timing.stopwatch(ways[shared]).wall / STEPS)
    distributed.destroy_process_group()


def compare(mixing: str, at: Size, repetitions: int) -> tuple[float, float, float]:
    """How many times the speed of one thread two threads have, one run on two processes, and two
    runs at once."""
    context = get_context("spawn")
    pipes, workers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(PROCESSES):
            ours, theirs = context.Pipe()
            arguments = (mixing, at, rank, str(Path(folder) / "store"), theirs)
            pipes.append(ours)
            workers.append(context.Process(target=work, args=arguments, daemon=True))
            workers[-1].start()

        def seconds(threads: int, processes: int, shared: bool = False) -> float:
            for pipe in pipes[:processes]:
                pipe.send((threads, shared))
            return max(pipe.recv() for pipe in pipes[:processes])

        times = [
            (seconds(1, 1), seconds(2, 1), seconds(1, 2, shared=True), seconds(1, 2))
            for _ in range(repetitions)
        ]
        for pipe in pipes:
            pipe.send(None)
        for worker in workers:
            worker.join()
    one, threads, shared, apart = (median(column) for column in zip(*times, strict=True))
    return one / threads, one / shared, 2 * one / apart


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=size, nargs="+", default=SIZES, metavar="LxB")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    options = parser.parse_args()
    print(_timing.machine())
    print("  | steps x sequences | mixing | two threads | two processes | two runs: the limit |")
    found = []
    for at in options.sizes:
        for mixing in MIXINGS:
            ratios = compare(mixing, at, options.repetitions)
            found.append(ratios[0])
            cells = [f"{at[0]:,} x {at[1]}", mixing, *(f"{ratio:.2f}" for ratio in ratios)]
            print(f"  | {' | '.join(cells)} |", flush=True)
    _timing.verdict("two threads, the least of them", min(found), TARGET, " x")


if __name__ == "__main__":
    main()
