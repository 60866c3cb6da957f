"""A network in time: a signal in step by step, answers out, and answers before the sample ends.

In come values as they are measured; out come the readout's answers so far, how sure they are, and
the step at which they suffice. The arithmetic is that of :mod:`export.software`.
"""

from export.streaming.board import BoardSession
from export.streaming.calibration import calibrate, running_scores
from export.streaming.confidence import (
    Confidence,
    ConfidenceError,
    Rule,
    load_confidence,
    rule_of,
    save_confidence,
)
from export.streaming.exits import Exits, exits
from export.streaming.front import FrontEnd, front_end
from export.streaming.session import Answer, Session, StreamError, lengthened, stream
from export.streaming.simulated import NestSession

__all__ = [
    "Answer",
    "BoardSession",
    "Confidence",
    "ConfidenceError",
    "Exits",
    "FrontEnd",
    "NestSession",
    "Rule",
    "Session",
    "StreamError",
    "calibrate",
    "exits",
    "front_end",
    "lengthened",
    "load_confidence",
    "rule_of",
    "running_scores",
    "save_confidence",
    "stream",
]
