"""What a quantised input changes: beside the contract, which holds for the values that it reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.description.quantisation import Lost, lost
from export.samples.answers import Counted
from export.samples.readout import scores_of
from export.samples.recording import Recording
from snn_ssm.kinds.outputs.answered import answered

_Runner = Callable[[NDArray[Any], Collection[str]], Recording]


class Quantised:
    """Sums over chunks of samples: what rounding took from them, and what the trained model
    answers to the values as they are, by ``real``, where that can be run."""

    def __init__(self, network: Network, real: _Runner | None) -> None:
        self.network, self.real = network, real
        self.lost: Lost | None = None
        self.answers = Counted.of(network)
        self.same = np.zeros(2, np.int64)  # of so many answers

    def add(
        self, samples: NDArray[Any], labels: NDArray[Any], lengths: NDArray[np.int64] | None,
        scores: FloatArray | None,
    ) -> None:
        """A chunk, and the ``scores`` that the same model has of it quantised."""
        found = lost(self.network.source, samples)
        self.lost = found if self.lost is None else self.lost.plus(found)
        if self.real is None or scores is None:
            return
        real = scores_of(self.network, samples, self.real(samples, []), lengths)
        self.answers.add(real, labels, lengths)
        pair = [answered(s, None, lengths)[0] for s in (scores, real)]
        same = self.network.readout.answers.same(*pair)
        self.same += (int(same.sum()), len(same))

    def result(self) -> dict[str, Any]:
        """:class:`Lost`, and with the trained model ``same_class`` and ``real``: its metrics."""
        found = {} if self.lost is None else self.lost.entry()
        if self.same[1]:
            metrics = {k: v for k, v in self.answers.metrics().items() if k != "classes"}
            found |= {"same_class": float(self.same[0] / self.same[1]), "real": metrics}
        return found
