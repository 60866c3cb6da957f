"""Whether a conversion is right: the logits of the converted model beside those of its source.

The model runs twice: as training runs it (float32, by convolution) and as a simulator does
(float64, step by step). Of a sample, the difference is that of the run that is nearer to the
source, whose precision nobody says. With S the largest of the source's logits without the decoder's
bias, the conversion holds where nine samples in ten differ by no more than

    tolerance = min(max(1e-4 S, 4 d), 0.05 S),

and none by more than 0.05 S. d is what nine in ten of the model's own two runs differ by at most.
Where a membrane all but touches its threshold, float32 flips a spike in one program and not in
another, and the logits of that sample move: a few samples may do so, or as many as do here. A model
of another sign, order or scale moves all of them, by about S.
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
from snn_ssm.tasks.base import read_npz
from snn_ssm.tasks.checks import check_inputs

ROUNDING = 1e-4  # of float32, which keeps 6e-8, through the sums over a sequence
FLIPS = 4
LARGEST = 0.05
_FEW = 10  # one sample in so many may be beyond the tolerance
_CHUNK = 50

Logits = NDArray[np.float64]


class CheckError(SnnSsmError):
    """Inputs and logits that are not of the model that the map describes."""


@dataclass(frozen=True)
class Comparison:
    """Logits of the converted model and of its source, over ``samples``.

    ``float32``, ``float64``: the largest difference of each run; ``difference``: of the nearer
    one; ``scale``: S above; ``beyond``: how many samples differ by more than ``tolerance``;
    ``same_class``: of how many the float64 run has the class.
    """

    samples: int
    float32: float
    float64: float
    difference: float
    scale: float
    tolerance: float
    beyond: int
    same_class: int

    @property
    def holds(self) -> bool:
        """Whether the two models are the same, but for rounding."""
        few = self.beyond <= self.samples // _FEW
        return few and self.difference <= LARGEST * self.scale

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        return (
            f"largest difference of a logit {self.difference:.3g} (run in float32 "
            f"{self.float32:.3g}, in float64 {self.float64:.3g}; logits up to "
            f"{self.scale:.3g}); beyond the tolerance {self.tolerance:.3g} in {self.beyond} of "
            f"{self.samples} samples; the same class in {self.same_class} of {self.samples}"
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
    inputs, expected = read_check(Path(path), checkpoint.config.model)
    runs = _runs(checkpoint, inputs)
    return compared(expected, *runs, np.asarray(checkpoint.arrays["decoder.bias"], np.float64))


def compared(expected: Logits, single: Logits, double: Logits, bias: Logits) -> Comparison:
    """The comparison of logits (B, K): the source's, of the two runs, and the decoder's bias (K,).
    """
    with np.errstate(invalid="ignore"):  # infinity from infinity, where float32 overflows
        away = [np.abs(run - expected).max(axis=1) for run in (single, double)]  # (B,) each
        own = np.sort(np.abs(single - double).max(axis=1))  # (B,), NaN last
    nearer = np.fmin(*away)  # of what overflows, the float64 run
    scale = float(np.abs(expected - bias).max())
    flips = FLIPS * float(own[len(own) - 1 - len(own) // _FEW])
    tolerance = min(max(ROUNDING * scale, flips), LARGEST * scale)
    return Comparison(
        samples=len(expected),
        float32=float(away[0].max()),
        float64=float(away[1].max()),
        difference=float(nearer.max()),
        scale=scale,
        tolerance=tolerance,
        beyond=int((nearer > tolerance).sum()),
        same_class=int((double.argmax(axis=1) == expected.argmax(axis=1)).sum()),
    )


def read_check(path: Path, model: ModelConfig) -> tuple[NDArray[Any], Logits]:
    """Inputs (B, C, L) and logits (B, K) that fit the model; raises as :func:`compare`."""
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
    steps = inputs.shape[2:] if model.each_step else ()
    expected = (len(inputs), *steps, model.classes)
    if logits.shape != expected:
        raise CheckError(
            f"{path}: logits have shape {logits.shape}; expected {expected}, one row a sample"
            f"{' and step' if steps else ''} and one column a class. Correct the file or [model]."
        )
    check_inputs(inputs, model, str(path))
    return inputs, logits.astype(np.float64).reshape(-1, model.classes)


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
    one, two = (np.concatenate(run).reshape(-1, model.classes) for run in runs)
    return one, two
