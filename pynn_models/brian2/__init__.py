"""What PyNN lacks on Brian 2: synapses of exact weights, made at once, and runs in pieces.

Importing this package imports neither Brian 2 nor PyNN; asking it for a name does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pynn_models.errors import SnnSsmError

if TYPE_CHECKING:
    from pynn_models.brian2.projection import KeptSpikes, RawConnector, RawSynapse

__all__ = ["Brian2NotInstalledError", "KeptSpikes", "RawConnector", "RawSynapse"]


class Brian2NotInstalledError(SnnSsmError):
    """Brian 2 or PyNN cannot be imported."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.projection")
    except (ImportError, AttributeError) as error:  # Brian 2.9 looks for what NumPy 2.4 lacks
        raise Brian2NotInstalledError(
            f"{__name__}.{name} cannot be used ({error}); expected Brian 2.9, PyNN 0.13 and a "
            "NumPy that goes with them. Install them: pip install 'snn-ssm[brian2]'."
        ) from error
    return getattr(module, name)
