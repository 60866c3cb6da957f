"""Whether a conversion is right: the logits of the converted model beside those of its source.

The model runs twice: as training runs it (float32, by convolution) and as a simulator does
(float64, step by step). Of a sample, the difference is that of the run that is nearer to the
source, whose precision nobody says. The conversion holds where the largest difference is within

    tolerance = min(max(1e-4 S, 4 d), 0.05 S),

S the largest of the source's logits without the decoder's bias, d the largest difference between
the model's own two runs: where float32 flips a spike here, it may as well have done so there. A
model of another sign, order or scale is off by S itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import ModelConfig
from snn_ssm.progress import progress_bar
from snn_ssm.tasks.base import check_inputs, read_npz

ROUNDING = 1e-4  # of float32, which keeps 6e-8, through the sums over a sequence
FLIPS = 4
LARGEST = 0.05
_CHUNK = 50

Logits = NDArray[np.float64]


class CheckError(SnnSsmError):
    """Inputs and logits that are not of the model that the map describes."""


@dataclass(frozen=True)
class Comparison:
    """Logits of the converted model and of its source, over ``samples``.

    ``float32``, ``float64``: the largest difference of each run; ``difference``: of the nearer
    one; ``scale``: S above; ``same_class``: of how many samples the float64 run has the class.
    """

    samples: int
    float32: float
    float64: float
    difference: float
    scale: float
    tolerance: float
    same_class: int

    @property
    def holds(self) -> bool:
        """Whether the two models are the same, but for rounding."""
        return self.difference <= self.tolerance

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        within = "within" if self.holds else "beyond"
        return (
            f"largest difference of a logit {self.difference:.3g}, {within} the tolerance "
            f"{self.tolerance:.3g} (float32 convolution {self.float32:.3g}, float64 steps "
            f"{self.float64:.3g}; logits up to {self.scale:.3g}); the same class in "
            f"{self.same_class} of {self.samples} samples"
        )


class DifferentModelError(SnnSsmError):
    """A converted model that does not compute what its source does; ``comparison`` says how far."""

    def __init__(self, comparison: Comparison, where: str) -> None:
        super().__init__(
            f"{where} converts to another network, nothing was written: {comparison}. Correct the "
            "map: the sign of the rotation, transforms, the order of blocks, or what no array "
            "shows."
        )
        self.comparison = comparison


def compare(checkpoint: Checkpoint, path: Path) -> Comparison:
    """Run a converted model on the ``inputs`` of an ``.npz`` and compare with its ``logits``.

    Raises :class:`CheckError` or ``DataError`` for a file of other arrays or of another model.
    """
    inputs, expected = _read(Path(path), checkpoint.config.model)
    runs = _runs(checkpoint, inputs)
    return compared(expected, *runs, np.asarray(checkpoint.arrays["decoder.bias"], np.float64))


def compared(expected: Logits, single: Logits, double: Logits, bias: Logits) -> Comparison:
    """The comparison of logits (B, K): the source's, of the two runs, and the decoder's bias (K,).
    """
    distances = [np.abs(run - expected) for run in (single, double)]
    nearer = np.minimum(*(distance.max(axis=1) for distance in distances))  # (B,)
    scale = float(np.abs(expected - bias).max())
    flips = FLIPS * float(np.abs(single - double).max())
    return Comparison(
        samples=len(expected),
        float32=float(distances[0].max()),
        float64=float(distances[1].max()),
        difference=float(nearer.max()),
        scale=scale,
        tolerance=min(max(ROUNDING * scale, flips), LARGEST * scale),
        same_class=int((double.argmax(axis=1) == expected.argmax(axis=1)).sum()),
    )


def _read(path: Path, model: ModelConfig) -> tuple[NDArray[Any], Logits]:
    """Inputs (B, C, L) and logits (B, K) that fit the model."""
    channels = 1 if model.encoder == "embedding" else model.inputs
    found = read_npz(
        path, "a check", {"inputs": "(B, C, L)", "logits": "(B, K)"}, strict=True
    )
    for name, array in found.items():
        real = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
        if not (real and np.isfinite(array).all()):
            raise CheckError(
                f"{path}: {name}, of type {array.dtype}, are not all finite real numbers. Save "
                "them anew from the source model."
            )
    inputs, logits = (
        array.astype(array.dtype.newbyteorder("="), copy=False) for array in found.values()
    )
    if inputs.ndim != 3 or inputs.shape[1] != channels or not inputs.size:
        raise CheckError(
            f"{path}: inputs have shape {inputs.shape}; expected (B, {channels}, L), as the "
            "encoder reads them. Correct the file or [model]."
        )
    if logits.shape != (len(inputs), model.classes):
        raise CheckError(
            f"{path}: logits have shape {logits.shape}; expected ({len(inputs)}, "
            f"{model.classes}), one row a sample and one column a class. Correct the file or "
            "[model]."
        )
    check_inputs(inputs, model, str(path))
    return inputs, logits.astype(np.float64)


def _runs(checkpoint: Checkpoint, inputs: NDArray[Any]) -> tuple[Logits, Logits]:
    """The logits of the float32 convolution and of the float64 steps."""
    try:
        import torch

        from snn_ssm.model.reference import run_reference
        from snn_ssm.model.restore import load_network
    except ImportError as error:
        raise CheckError(
            f"--check runs the model, and torch cannot be imported ({error}). Install it: pip "
            "install 'snn-ssm[train]'."
        ) from error
    model = checkpoint.config.model
    at_once = model.architecture == "transformer" or model.bidirectional  # they have no steps
    single, double = load_network(checkpoint), load_network(checkpoint).double()
    runs: tuple[list[Logits], list[Logits]] = ([], [])
    with torch.no_grad(), progress_bar(len(inputs), desc="check") as bar:
        for start in range(0, len(inputs), _CHUNK):
            part = inputs[start : start + _CHUNK]
            p = torch.from_numpy(np.array(part))
            runs[0].append(single(p).logits.double().numpy())
            runs[1].append(
                double(p).logits.numpy() if at_once else run_reference(checkpoint, part).logits
            )
            bar.update(len(part))
    return np.concatenate(runs[0]), np.concatenate(runs[1])
