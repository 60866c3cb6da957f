"""The package ``nir``, which is optional."""

from __future__ import annotations

from typing import Any

from export.interchange.errors import InterchangeError


def nir() -> Any:
    """The module; raises :class:`InterchangeError` where it is not installed."""
    try:
        import nir as module
    except ImportError as error:
        raise InterchangeError(
            f"a NIR file needs the package nir, which cannot be imported ({error}). Install it: "
            "pip install 'snn-ssm[nir]'."
        ) from error
    return module
