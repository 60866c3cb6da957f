"""The input encodings: one file each, registered here."""

from export.description.encodings.bits import BITS
from export.description.encodings.current import CURRENT
from export.description.encodings.kind import Encoding, Values
from export.description.encodings.quantised import QUANTISED
from export.description.encodings.spikes import SPIKES
from export.description.encodings.token import TOKEN
from pynn_models.registry import Registry

ENCODINGS: Registry[Encoding] = Registry(
    "input encoding", BITS, CURRENT, TOKEN, SPIKES, QUANTISED
)

__all__ = ["ENCODINGS", "Encoding", "Values"]
