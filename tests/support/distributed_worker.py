"""Started by torchrun in ``test_distributed``: trains a run, kills another and resumes it."""

import atexit
import os
import sys
from pathlib import Path

from snn_ssm.model.network import build_network
from snn_ssm.training import run as training
from snn_ssm.training.loop import train
from snn_ssm.training.run import Run
from support.toy_problem import TEST, TRAIN, config_of

MODELS = {
    "penalised": {"rate_penalty": 2.0, "rate_target": 0.1, "prenorm": False},
    "gated": {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch"},
    "dropped": {"dropout": 0.3, "norm": "layer"},
}
KILLED_AT = 7  # of 5 steps an epoch


def config(name):
    """What is trained under a name; without dropout unless it says so, which is random."""
    return config_of(**({"dropout": 0.0, "epochs": 2} | MODELS[name]))


class KilledError(Exception):
    """Stands for the end of the process."""


def in_float64(*args):
    """A network in float64, so that a sum's order flips no spike."""
    return build_network(*args).double()


def train_all(out):
    for name in MODELS:
        train(config(name), TRAIN, TEST, out / name)
    step, calls = Run.step, []

    def killed(self, *args):
        calls.append(None)
        if len(calls) == KILLED_AT:
            raise KilledError
        step(self, *args)

    training._SAVE_EVERY = -1.0  # a state after every batch
    Run.step = killed
    try:
        train(config("dropped"), TRAIN, TEST, out / "resumed")
    except KilledError:
        Run.step = step
    train(config("dropped"), TRAIN, TEST, out / "resumed", resume=True)


def report_threads(path):
    """Write the names of the process's threads."""
    path.write_text("\n".join(p.read_text() for p in Path("/proc/self/task").glob("*/comm")))


if __name__ == "__main__":
    threads = Path(sys.argv[1]) / f"threads.{os.environ['RANK']}"
    atexit.register(report_threads, threads)  # registered first, called last
    training.build_network = in_float64
    train_all(Path(sys.argv[1]))
