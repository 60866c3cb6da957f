"""A training step on two threads against one, and what the machine has for two at most.

A step is that of ``benchmarks/training.py`` (forward, loss and backward of four blocks of 64
channels and 16 complex modes). Compared by turns, by the wall clock: one process of one thread; one
of two threads; and two processes of one thread each at once, each with steps of its own, which
wait for nothing of each other's but memory and the clock. The last is twice as much work;
its speed against one process's is the limit of what two threads can gain here.

Target: two threads >= 1.7 x. On a machine of two cores nothing else may run.
"""

from __future__ import annotations

import argparse
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median

import _timing  # first, see there
import torch
from torch import nn
from training import CLASSES, MIXINGS, Size, project, size

from snn_ssm.training.allocation import keep_memory

SIZES: list[Size] = [(784, 32), (4096, 6)]
STEPS, REPETITIONS, TARGET = 4, 5, 1.7


def work(mixing: str, at: Size, pipe: Connection) -> None:
    """Make a network; then, so often as a number of threads comes, report seconds of a step."""
    keep_memory()
    torch.manual_seed(0)
    network = project(MIXINGS[mixing])
    inputs = torch.randint(0, 256, (at[1], 1, at[0]), dtype=torch.uint8)
    labels = torch.arange(at[1]) % CLASSES

    def steps(count: int) -> None:
        for _ in range(count):
            network.zero_grad()
            nn.functional.cross_entropy(network(inputs).logits, labels).backward()

    while threads := pipe.recv():
        torch.set_num_threads(threads)
        steps(1)
        pipe.send(_timing.stopwatch(lambda: steps(STEPS)).wall / STEPS)


def compare(mixing: str, at: Size, repetitions: int) -> tuple[float, float]:
    """How many times the speed of one thread two threads have, and two processes."""
    context = get_context("spawn")
    pipes, workers = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        pipes.append(ours)
        workers.append(context.Process(target=work, args=(mixing, at, theirs), daemon=True))
        workers[-1].start()

    def seconds(threads: int, processes: int) -> float:
        for pipe in pipes[:processes]:
            pipe.send(threads)
        return max(pipe.recv() for pipe in pipes[:processes])

    times = [(seconds(1, 1), seconds(2, 1), seconds(1, 2)) for _ in range(repetitions)]
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send(0)
        worker.join()
    one, two, both = (median(column) for column in zip(*times, strict=True))
    return one / two, 2 * one / both


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=size, nargs="+", default=SIZES, metavar="LxB")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    options = parser.parse_args()
    print(_timing.machine())
    print("  | steps x sequences | mixing | two threads | two processes at once | share of that |")
    found = []
    for at in options.sizes:
        for mixing in MIXINGS:
            two, both = compare(mixing, at, options.repetitions)
            found.append(two)
            row = f"{at[0]:,} x {at[1]} | {mixing} | {two:.2f} | {both:.2f} | {two / both:.0%}"
            print(f"  | {row} |")
    _timing.verdict("two threads, the least of them", min(found), TARGET, " x")


if __name__ == "__main__":
    main()
