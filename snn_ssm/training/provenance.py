"""What a result was made with: the hardware in words, and versions."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch


def _processor() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def provenance(device: torch.device, processes: int) -> dict[str, Any]:
    """``hardware``: the GPU, or the processor and one process's threads; and how many processes."""
    threads = torch.get_num_threads()
    if device.type == "cuda":
        one = str(torch.cuda.get_device_name(device))
    else:
        one = f"{_processor()}, {threads} {'thread' if threads == 1 else 'threads'}"
    return {
        "hardware": one if processes == 1 else f"{processes} x {one}",
        "device": device.type,
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
