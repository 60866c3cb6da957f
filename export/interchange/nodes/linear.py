"""``Linear``, ``Affine`` and ``Scale``."""

from __future__ import annotations

from typing import Any

from export.interchange.nodes.kind import NodeRule
from export.interchange.nodes.values import array, each, require
from export.interchange.semantics import Sender
from export.interchange.signals import Map, Signal


def _product(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """``W x``, W (out, in)."""
    weight = array(name, node, "weight")
    require(
        name, weight.ndim == 2 and signal.shape == weight.shape[1:],
        lambda: f"weight has shape {weight.shape}, and what arrives {signal.shape}; expected (out, "
        "in) and (in,). Put a Flatten before it.",
    )
    return signal.mapped(Map.dense(weight), (len(weight),))


def _affine(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """``W x + b``."""
    found = _product(name, node, signal, sender)
    return Signal(found.shape, found.taps, found.constant + each(name, node, "bias", found.size))


def _scale(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """``s * x``."""
    return signal.scaled(each(name, node, "scale", signal.size))


LINEAR = NodeRule("Linear", maps=_product)
AFFINE = NodeRule("Affine", maps=_affine)
SCALE = NodeRule("Scale", maps=_scale)
