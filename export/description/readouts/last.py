"""``last``: the logits of the last step, by neurons without memory."""

from __future__ import annotations

import numpy as np

from export.description.readouts.kind import Pooling, silent

LAST = Pooling(
    "last",
    accumulator=lambda bias, tau=None, timestep=1.0: silent(
        bias, np.empty((len(bias), 0)), d=1.0
    ),
    terms=lambda steps: np.ones_like(steps),
)
