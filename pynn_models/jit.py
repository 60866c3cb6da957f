"""Compiled functions, kept between runs only where no other user can have put them.

numba keeps machine code in pickles: beside the module, in the user's cache, or where
``NUMBA_CACHE_DIR`` says. To read a pickle is to run it.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numba

from pynn_models.private import UncachedWarning, is_private


def njit(**options: Any) -> Any:
    """``numba.njit``, cached where that is safe and can be; elsewhere not, with a warning."""

    def decorate(function: Any) -> Any:
        try:
            compiled = numba.njit(cache=True, **options)(function)
            place = getattr(compiled, "stats", None)  # none where numba's compiler is turned off
            if place is None or is_private(Path(place.cache_path)):
                return compiled
            _warn(f"others may write to {place.cache_path}")
        except (RuntimeError, OSError) as error:
            _warn(f"there is no place for them: {str(error).partition(':')[0]}")
        return numba.njit(**options)(function)

    return decorate


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled functions are not kept ({reason}), so every start compiles them for some "
        "seconds. Set NUMBA_CACHE_DIR to a directory that only you may write to.",
        UncachedWarning,
        stacklevel=3,
    )
