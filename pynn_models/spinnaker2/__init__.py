"""SpiNNaker 2: neurons in float32, weights in 8 bits, and the C core of the state-space neuron.

In come parameters in float64; out come spikes and membranes, operation by operation those of the
C cores (``c/state_space_float_core.h``, ``c/acting_float_core.h``, ``c/gated_float_core.h``) or of
py-spinnaker2's leaky neurons as they are published.
"""

from pynn_models.spinnaker2.acting import ActingParameters, ActingState
from pynn_models.spinnaker2.core import (
    CurrentParameters,
    Float32Array,
    Float32Error,
    LeakyParameters,
    ModeParameters,
    ModeState,
    run_current,
    run_leaky,
    run_modes,
)
from pynn_models.spinnaker2.gated import (
    Cell,
    FloatBranches,
    GatedFloats,
    GradedFloats,
    gated_input,
)
from pynn_models.spinnaker2.words import (
    C_DIRECTORY,
    acting_shared,
    gated_shared,
    gated_words,
    neuron_words,
)

__all__ = [
    "C_DIRECTORY",
    "ActingParameters",
    "ActingState",
    "Cell",
    "CurrentParameters",
    "Float32Array",
    "Float32Error",
    "FloatBranches",
    "GatedFloats",
    "GradedFloats",
    "LeakyParameters",
    "ModeParameters",
    "ModeState",
    "acting_shared",
    "gated_input",
    "gated_shared",
    "gated_words",
    "neuron_words",
    "run_current",
    "run_leaky",
    "run_modes",
]
