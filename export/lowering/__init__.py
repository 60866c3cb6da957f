"""Lowering: from a checkpoint's arrays to a network.

In comes a checkpoint; norms are folded, delays scheduled and cells chosen; out comes a
:class:`export.description.Network`, which :mod:`export.software` and :mod:`export.pynn` run.
"""

from export.lowering.errors import LoweringError
from export.lowering.network import lower, margins
from export.lowering.quantised import in_integers

__all__ = [
    "LoweringError",
    "in_integers",
    "lower",
    "margins",
]
