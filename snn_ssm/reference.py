"""What the trained network does, as arrays: the reference that every backend is compared with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.training import load_network


class Reference(NamedTuple):
    """Spikes and membranes a layer, (B, L, H); logits (B, classes)."""

    spikes: list[NDArray[np.bool_]]
    membranes: list[NDArray[np.float64]]
    logits: NDArray[np.float64]


@torch.no_grad()
def run_reference(
    checkpoint: Checkpoint, samples: NDArray[Any], *, method: str = "steps"
) -> Reference:
    """The trained network on ``samples`` (B, C, L).

    ``steps``: the recurrence, one step at a time in float64 (E2's side of the contract);
    ``convolution``: the float32 convolution that training used (E5's).
    """
    network = load_network(checkpoint)
    p = torch.from_numpy(np.array(samples))  # a copy: torch wants to own a writable array
    out = network.double().steps(p) if method == "steps" else network(p)
    return Reference(
        [s.transpose(1, 2).numpy() > 0 for s in out.outputs],
        [y.transpose(1, 2).double().numpy() for y in out.membranes],
        out.logits.double().numpy(),
    )
