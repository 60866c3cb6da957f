"""The layouts of models trained elsewhere: what their arrays are called, and what they stand for.

Of a mode, with T a transform of :mod:`snn_ssm.convert.changes`:

========  ==================================  =========================  ======================
layout    lambda                              Delta                      source
========  ==================================  =========================  ======================
s4d       -exp(log_A_real) + i A_imag         exp(log_dt)                the minimal S4D
s4d-v3    -T(inv_A_real) + i A_imag           exp(log_dt)                S4, versions 2 and 3
s4d-v4    -T(A_real) - i T(A_imag)            T(inv_dt)                  S4, version 4
snn-ssm   -exp(a) + i omega                   exp(log_dt)                this project
========  ==================================  =========================  ======================

The minimal S4D has b = 1; the full kernels train B, tied across channels where ``n_ssm`` is less
than H: channel h has set h mod n_ssm, as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENDS = {"encoder": "encoder", "decoder": "decoder"}
_BLOCKS = {"block": "s4_layers.{i}", "norm": "norms.{i}", "mixing": "output_linear.0"}
# Layout -> part -> its name in the source; all but encoder, decoder, block and norm are within the
# block.
LAYOUTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "s4d": {
            **ENDS, **_BLOCKS, "log_dt": "kernel.log_dt", "log_A_real": "kernel.log_A_real",
            "A_imag": "kernel.A_imag", "C": "kernel.C", "D": "D",
        },
        "s4d-v3": {
            **ENDS, **_BLOCKS, "log_dt": "kernel.kernel.log_dt",
            "inv_A_real": "kernel.kernel.inv_A_real", "A_imag": "kernel.kernel.A_imag",
            "B": "kernel.kernel.B", "C": "kernel.kernel.C", "D": "D",
        },
        "s4d-v4": {
            **ENDS, **_BLOCKS, "inv_dt": "layer.kernel.inv_dt", "A_real": "layer.kernel.A_real",
            "A_imag": "layer.kernel.A_imag", "B": "layer.kernel.B", "C": "layer.kernel.C",
            "D": "layer.D",
        },
        "snn-ssm": {
            **ENDS, "block": "blocks.{i}", "norm": "blocks.{i}.norm", "a": "ssm.a",
            "omega": "ssm.omega", "log_dt": "ssm.log_dt", "b": "ssm.b", "c": "ssm.c",
            "d": "ssm.d", "mixing": "mixing",
        },
    }
)
_S4D = {"a": "log_A_real", "omega": "A_imag", "log_dt": "log_dt", "c": "C", "d": "D"}
# Layout -> a checkpoint's name of a mode's parameter -> the part that holds it; b = 1 where none.
MODES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "s4d": _S4D,
        "s4d-v3": _S4D | {"a": "inv_A_real", "b": "B"},
        "s4d-v4": _S4D | {"a": "A_real", "log_dt": "inv_dt", "b": "B"},
        "snn-ssm": {leaf: leaf for leaf in ("a", "omega", "log_dt", "b", "c", "d")},
    }
)
# Layouts in which lambda turns the other way: Im(lambda) is minus what the array says.
TURNED = ("s4d-v4",)
# Parts whose transform is an option of the source's kernel, which no array shows.
OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"s4d-v3": ("inv_A_real",), "s4d-v4": ("A_real", "A_imag", "inv_dt")}
)
# What versions of the full kernel call lambda's parts, whatever the sign of the rotation.
_EITHER_SIGN = {"A_real", "inv_A_real", "A_imag"}


def leaf_of(name: str) -> str:
    """The last part of an array's name."""
    return name.rpartition(".")[2]


def of_either_sign(layout: str, parts: Mapping[str, str]) -> bool:
    """Whether lambda's arrays are called as those of a full kernel that is not this layout's own.

    Such names do not say whether lambda is -T(A_real) + i A_imag or its conjugate.
    """
    keys = [MODES[layout][leaf] for leaf in ("a", "omega")]
    own = {leaf_of(LAYOUTS[layout][key]) for key in keys}
    return bool(({leaf_of(parts[key]) for key in keys} - own) & _EITHER_SIGN)
