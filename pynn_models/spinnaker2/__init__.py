"""SpiNNaker 2: neurons in float32, weights in 8 bits, and the C core of the state-space neuron.

In come parameters in float64; out come spikes and membranes, operation by operation those of the
C core (``c/state_space_float_core.h``) or of py-spinnaker2's leaky neurons as they are published.
"""

from pynn_models.spinnaker2.core import (
    CurrentParameters,
    Float32Array,
    Float32Error,
    LeakyParameters,
    ModeParameters,
    run_current,
    run_leaky,
    run_modes,
)
from pynn_models.spinnaker2.words import C_DIRECTORY, neuron_words

__all__ = [
    "C_DIRECTORY",
    "CurrentParameters",
    "Float32Array",
    "Float32Error",
    "LeakyParameters",
    "ModeParameters",
    "neuron_words",
    "run_current",
    "run_leaky",
    "run_modes",
]
