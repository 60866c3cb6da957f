"""The samples in a job, ``inputs.npz``: arrays as a user's own have them, and names of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.npz import read_arrays

if TYPE_CHECKING:
    from export.description.network import Network
    from snn_ssm.tasks import Samples

INPUTS = "inputs.npz"
_OPTIONAL = ("labels", "targets", "lengths", "names")


@dataclass(frozen=True)
class Given:
    """``inputs`` (B, C, L), ``labels`` and ``lengths`` as :class:`snn_ssm.tasks.Samples` has them.

    ``labels``: None where nobody knows them.
    """

    inputs: NDArray[Any]
    labels: NDArray[Any] | None
    lengths: NDArray[np.int64] | None

    def take(self, part: slice) -> Given:
        """Some of the samples."""
        labels = None if self.labels is None else self.labels[part]
        lengths = None if self.lengths is None else self.lengths[part]
        return Given(self.inputs[part], labels, lengths)


def arrays_of(samples: Samples, network: Network) -> dict[str, NDArray[Any]]:
    """What is stored of a network's samples, by name: such that ``--data`` reads it again.

    They are as the network reads them; that they are encoded, where they were, is stored, too.
    """
    from snn_ssm.config import TaskConfig, from_dict
    from snn_ssm.tasks.own.encoded import encoding_of

    labels, names = samples.labels, network.names
    values = labels.dtype.kind == "f"
    if values and labels.ndim == 3:
        labels = np.ascontiguousarray(labels.transpose(0, 2, 1))  # (B, K, L), as inputs are
    found = {"inputs": samples.inputs, "targets" if values else "labels": labels}
    if samples.lengths is not None:
        found["lengths"] = samples.lengths
    by = encoding_of(from_dict(TaskConfig, dict(network.origin.get("task", {})), "task"))
    if by:
        found["encoded"] = np.array(by)
    numbers = [str(k) for k in range(len(names))]
    return found if list(names) == numbers else {**found, "names": np.array(names)}


def read_given(path: Path) -> Given:
    """The samples of a job; raises ``OSError`` or ``ValueError`` for a file that holds none."""
    stored = read_arrays(path, ("inputs",), optional=_OPTIONAL)
    inputs, lengths = stored["inputs"], stored.get("lengths")
    labels = stored.get("targets", stored.get("labels"))
    if labels is None:
        raise ValueError("it has no labels and no targets")
    if labels.shape[:1] != inputs.shape[:1] or labels.dtype.kind not in "iuf":
        raise ValueError(
            f"it has inputs of shape {inputs.shape} and labels of {labels.dtype} and shape "
            f"{labels.shape}"
        )
    if lengths is not None:
        if lengths.shape != inputs.shape[:1] or lengths.dtype.kind not in "iu":
            raise ValueError(f"its lengths are of {lengths.dtype} and shape {lengths.shape}")
        lengths = lengths.astype(np.int64)
        if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= inputs.shape[-1]:
            raise ValueError(f"its lengths are {lengths.min()} to {lengths.max()}")
    if labels.ndim == 3:
        labels = labels.transpose(0, 2, 1)
    return Given(inputs, labels if labels.dtype.kind == "f" else labels.astype(np.int64), lengths)
