"""Compiled functions of a board job: compiled anew at each start.

numba would keep them as pickles beside the code, and whoever may write there could have put others.
"""

from __future__ import annotations

from typing import Any

import numba


def njit(**options: Any) -> Any:
    """``numba.njit``, and nothing is kept."""
    return numba.njit(**options)
