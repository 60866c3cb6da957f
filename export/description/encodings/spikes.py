"""``spikes``: each channel is a spike source, its value 0 or 1."""

from __future__ import annotations

import numpy as np

from export.description.encodings.kind import Encoding, Values, by_step

_REMEDY = "Give events a step, or export with --input bits or current."

SPIKES = Encoding(
    "spikes",
    emit=lambda source, samples: by_step(source, samples).astype(np.uint8),
    values=lambda source: Values(2, "no spike or a spike", _REMEDY),
    words=lambda source: "events",
    unit=lambda source: "value\n(dimensionless)",
    binary=True,
)
