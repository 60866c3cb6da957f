"""What the cells' parameters and recordable variables are, and their units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Quantity(NamedTuple):
    """Unit and one-line meaning of a parameter or of a recordable variable."""

    unit: str
    meaning: str


PARAMETERS: Mapping[str, Quantity] = MappingProxyType(
    {
        "tau": Quantity("ms", "time constant of each mode; inf: the mode does not leak"),
        "omega": Quantity("rad/ms", "rotation of each mode; empty: the modes are real"),
        "c_re": Quantity("dimensionless", "readout weight of each mode, real part"),
        "c_im": Quantity("dimensionless", "readout weight of each mode, imaginary part"),
        "d": Quantity("dimensionless", "weight of the input that bypasses the modes"),
        "theta": Quantity("dimensionless", "threshold: a spike when y > theta; inf: never"),
        "bias": Quantity("dimensionless", "constant current, added to u at every step k >= 0"),
        "value_bias": Quantity("dimensionless", "constant part of each branch's value"),
        "gate_bias": Quantity("dimensionless", "constant part of each branch's gate"),
        "shift": Quantity("dimensionless", "added to value * gate before the GELU (gsu)"),
        "gain": Quantity("dimensionless", "factor of the GELU (gsu)"),
        "r_re": Quantity("dimensionless", "what a spike takes from each mode, real part"),
        "r_im": Quantity("dimensionless", "what a spike takes from each mode, imaginary part"),
        "hard_reset": Quantity("flag", "whether a spike sets the modes to 0"),
        "refractory": Quantity("steps", "how long a neuron is silent after a spike"),
        "a": Quantity("dimensionless", "what the pre-spike of each last step adds to thresholds"),
        "further": Quantity("dimensionless", "thresholds of the 2nd, 3rd, ... spike of a step"),
        "differences": Quantity("flag", "whether s[k] - s[k-1] is sent in place of s[k]"),
        "first_step": Quantity("steps", "kernel step that is reference step k = 0"),
        "period": Quantity("steps", "all state is zeroed when k % period == 0; 0: never"),
        "active": Quantity("steps", "silent, and deaf, when k % period >= active; 0: never"),
    }
)

_SHARED = ("first_step", "period", "active")

EGRU_PARAMETERS: Mapping[str, Quantity] = MappingProxyType(
    {
        "theta": Quantity("dimensionless", "threshold: an event when v > theta; inf: never"),
        "bias": Quantity("dimensionless", "constant part of the candidate"),
        "update_bias": Quantity("dimensionless", "constant part of the update gate's sum"),
        "reset_bias": Quantity("dimensionless", "constant part of the reset gate's sum"),
        "recurrent_bias": Quantity("dimensionless", "constant part of what that gate multiplies"),
        **{name: PARAMETERS[name] for name in _SHARED},
    }
)

VARIABLES: Mapping[str, Quantity] = MappingProxyType(
    {
        "y": Quantity("dimensionless", "membrane: the readout of the modes, compared with theta"),
        "u": Quantity("dimensionless", "input: bias, weighted spikes and currents of this step"),
        "difference": Quantity("dimensionless", "s[k] - s[k-1], of cells that send differences"),
    }
)

EGRU_VARIABLES: Mapping[str, Quantity] = MappingProxyType(
    {
        "y": Quantity("dimensionless", "membrane v: compared with theta, and sent with an event"),
        "u": Quantity("dimensionless", "input: its bias, weighted spikes, currents and values"),
        "z": Quantity("dimensionless", "update gate: the share of the state that is kept"),
        "r": Quantity("dimensionless", "reset gate: the share of the recurrent input that is used"),
        "g": Quantity("dimensionless", "candidate for the state"),
    }
)
