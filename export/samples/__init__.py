"""What goes into a network and what comes out of it.

In come samples (B, channels, steps); out come spikes or currents for the sources, a
:class:`Recording` of what a backend did, and logits. The backends are the next rooms.
"""

from export.samples.answers import Counted, confidence, decide
from export.samples.inputs import InputError, QuantiserWarning, check_samples, encode
from export.samples.readout import (
    ReadoutError,
    accumulated_logits,
    logits,
    needed_membranes,
    scores_of,
)
from export.samples.recording import Recording, RecordingError, concatenate

__all__ = [
    "Counted",
    "InputError",
    "QuantiserWarning",
    "ReadoutError",
    "Recording",
    "RecordingError",
    "accumulated_logits",
    "check_samples",
    "concatenate",
    "confidence",
    "decide",
    "encode",
    "logits",
    "needed_membranes",
    "scores_of",
]
