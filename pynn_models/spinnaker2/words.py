"""The memory of the C core: a population's neurons as 32-bit words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pynn_models.spinnaker2.core import Float32Array, ModeParameters

C_DIRECTORY = Path(__file__).with_name("c")


def neuron_words(p: ModeParameters) -> Float32Array:
    """``[d, bias, theta, (a_re, a_im, c_re, c_im, x_re, x_im) per mode]``, at rest: (H, 3 + 6 N).

    Of real modes ``(a, c, x)``: (H, 3 + 3 N).
    """
    zero = np.zeros_like(p.a_re)
    parts = [p.a_re, p.c_re, zero]
    if p.a_im.size:
        parts = [p.a_re, p.a_im, p.c_re, p.c_im, zero, zero]
    modes = np.stack(parts, axis=2).reshape(len(p.d), -1)
    return np.concatenate([np.stack([p.d, p.bias, p.theta], axis=1), modes], axis=1)
