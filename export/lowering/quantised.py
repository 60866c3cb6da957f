"""A model of real values as one of integers: what reads them quantised, in their own units.

    W x ~ W (q 2^-f) = (W 2^-f) q

A power of two changes no digit, so that both sides are the same numbers: lowering, the margins of
its thresholds and the trained model itself take the right one, and its integers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.description.network import Source
from export.lowering.errors import LoweringError
from snn_ssm.checkpoint import Checkpoint, check_arrays

_WEIGHT = "encoder.weight"


def in_integers(checkpoint: Checkpoint, source: Source) -> Checkpoint:
    """The checkpoint that reads the integers of a quantised source, and of any other as it is.

    Raises :class:`LoweringError` where a weight has no such float32, ``CheckpointError`` for arrays
    that do not fit the model.
    """
    if not source.kind.fractions:
        return checkpoint
    config = checkpoint.config
    check_arrays(checkpoint.arrays, config.model, "checkpoint")
    weight = checkpoint.arrays[_WEIGHT]  # (H, C)
    fraction = np.array(source.fraction)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(weight, -fraction).astype(weight.dtype)
        exact = np.ldexp(scaled, fraction) == weight
    if not exact.all():
        h, c = np.argwhere(~exact)[0]
        raise LoweringError(
            f"encoder.weight[{h}, {c}] is {weight[h, c]:.3g}, which in units of 2^-{fraction[c]} "
            "is no float32; expected weights and samples of about 1. Scale the samples, and train "
            "on them."
        )
    model = replace(config.model, input_bits=source.bits)
    return Checkpoint(replace(config, model=model), {**checkpoint.arrays, _WEIGHT: scaled})
