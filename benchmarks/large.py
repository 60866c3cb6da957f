"""Exporting a large network: seconds, and the memory that it takes, in a process of its own.

8 layers of 1,024 channels and 32 complex modes with all skip projections, 29.5 million synapses of
random weights: ``snn-ssm export``, from the start of the process to its end. Peak memory is what it
has at most, less what one has that only prints a configuration.

Targets: <= 5 s of processor time; <= 1.5 times the size of the arrays.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _timing  # noqa: F401  first, see there
import numpy as np

from snn_ssm.checkpoint import Checkpoint, expected_shapes, save_checkpoint
from snn_ssm.config import Config, ModelConfig

CHANNELS, DEPTH, MODES = 1024, 8, 32
SECONDS, TIMES = 5.0, 1.5
_MEBIBYTE = 2**20


def random_checkpoint(seed: int = 0) -> Checkpoint:
    """A model of random weights and slow modes."""
    model = ModelConfig(channels=CHANNELS, depth=DEPTH, modes=MODES)
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in expected_shapes(model).items():
        leaf = name.rsplit(".", 1)[-1]
        values = rng.normal(size=shape) / np.sqrt(max(shape[-1:], default=1))
        fixed = {"log_dt": -5.0, "a": -0.7, "running_var": 1.0}.get(leaf)
        kind = np.int64 if leaf == "num_batches_tracked" else np.float32
        arrays[name] = np.asarray(values if fixed is None else np.full(shape, fixed), kind)
    return Checkpoint(Config(model=model), arrays)


# A process of its own starts the command: Linux counts what the starting one had in memory, too.
_MEASURE = """
import json, resource, subprocess, sys
status = subprocess.run([sys.executable, "-m", "snn_ssm", *sys.argv[1:]], stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([status.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measured(*arguments: str) -> tuple[float, float, float]:
    """Wall clock and processor time in s, and peak memory in MiB, of a command by itself."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURE, *arguments], capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    status, cpu, peak = json.loads(done.stdout)  # KiB on Linux
    if status:
        raise SystemExit(f"snn-ssm {arguments[0]} ended with {status}: {done.stderr}")
    return wall, cpu, peak


def main() -> int:
    """Print both, their targets, and whether they are met."""
    with tempfile.TemporaryDirectory() as directory:
        checkpoint, network = Path(directory, "checkpoint"), Path(directory, "network")
        checkpoint.mkdir()
        save_checkpoint(checkpoint, random_checkpoint())
        _, _, bare = measured("config", "smnist")
        wall, cpu, peak = measured("export", str(checkpoint), str(network))
        size = (network / "arrays.safetensors").stat().st_size / _MEBIBYTE
    times = (peak - bare) / size
    print(
        f"{wall:.1f} s, {cpu:.1f} s of processor time; target <= {SECONDS:g} s: "
        f"{_met(cpu, SECONDS)}"
    )
    print(
        f"arrays {size:.0f} MiB; at most {peak:.0f} MiB, the program's own {bare:.0f} MiB among "
        f"them: {times:.2f} times the arrays; target <= {TIMES:g}: {_met(times, TIMES)}"
    )
    return 0


def _met(found: float, target: float) -> str:
    return "met" if found <= target else "missed"


if __name__ == "__main__":
    sys.exit(main())
