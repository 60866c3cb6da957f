"""Memory that large arrays leave is kept by the process, so that the next ones take it again."""

from __future__ import annotations

import ctypes
import os
from functools import cache

VARIABLE = "SNN_SSM_KEEP_MEMORY"  # 0: leave the C library as it is
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NO_ARRAY_MAPPED, _NEVER_TRIMMED = 0, -1


def _is_glibc() -> bool:
    """Whether the C library is GNU's: others have no such name, or no such function."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):
        return False


@cache
def keep_memory() -> bool:
    """Have glibc take arrays of every size from its heap and never shrink it; whether it does.

    Else it maps every array above 32 MiB when it is made and unmaps it when it is freed, and the
    kernel clears the pages at each first touch: half of a training step with such arrays. No value
    changes. The heap stays at its peak and has gaps: 1,329 MiB instead of 785 with 4 layers of 64
    channels on 32 sequences of 4,096 steps.

    For the whole process, once; the first call decides. Nothing happens where the C library is
    another, nor with ``SNN_SSM_KEEP_MEMORY=0`` in the environment. Source: mallopt(3).
    """
    if os.environ.get(VARIABLE) == "0" or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mapped = mallopt(_M_MMAP_MAX, _NO_ARRAY_MAPPED)
    trimmed = mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIMMED)
    return bool(mapped and trimmed)
