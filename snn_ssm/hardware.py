"""The machine that a run is on, in words."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def processor() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def describe(device: torch.device, processes: int) -> str:
    """The GPU, or the processor and the threads that one process uses; how many processes."""
    if device.type == "cuda":
        one = str(torch.cuda.get_device_name(device))
    else:
        one = f"{processor()}, {torch.get_num_threads()} threads"
    return one if processes == 1 else f"{processes} x {one}"
