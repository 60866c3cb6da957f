"""The refusal of a model that does not lower."""

from __future__ import annotations

from pynn_models.errors import SnnSsmError


class LoweringError(SnnSsmError):
    """A model that has no spiking form; names the layer and what to train instead."""
