"""Random networks of a quantised input, and real samples for them."""

import numpy as np

from export.description.quantisation import quantiser_for
from export.lowering.network import lower
from support.gated_networks import KINDS
from support.random_networks import checkpoint_of

STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}


def real_samples(seed=0, count=3, channels=2, steps=20, scale=1.0):
    """Values (B, C, L) of either sign, the channels of unequal size, the second a fraction."""
    rng = np.random.default_rng((seed, 7))
    found = rng.normal(size=(count, channels, steps)) * scale
    return found * 2.0 ** (-3 * np.arange(channels))[:, None]


def quantised(kind="stock", seed=0, bits=8, steps=20, count=3, scale=1.0, **changes):
    """A checkpoint of real values, its network of quantised ones, and samples (B, C, L)."""
    more = STOCK if kind == "stock" else KINDS.get(kind, {})
    model = more | {"inputs": 2, "input_bits": 0, "input_scale": 1.0 / scale} | changes
    checkpoint = checkpoint_of(seed, steps, **model)
    samples = real_samples(seed, count, model["inputs"], steps, scale)
    return checkpoint, lower(checkpoint, quantiser=quantiser_for(samples, bits)), samples
