"""What a layer adds to the residual stream, one file a mixing and one line here."""

from __future__ import annotations

from collections.abc import Callable

from export.lowering.layer import Layer
from export.lowering.mixing import glu, gsu, linear
from export.lowering.stream import Stream

# In terms of the layer's spikes s and its membrane y; nothing of the stream before it.
MIXINGS: dict[str, Callable[[Layer], Stream]] = {
    "linear": linear.output,
    "glu": glu.output,
    "gsu": gsu.output,
}
