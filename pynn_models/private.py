"""Whether a place is a user's own: what is loaded as code is loaded from no other."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class UncachedWarning(UserWarning):
    """Compiled code is not kept, so that every start compiles it for some seconds."""


def is_private(path: Path) -> bool:
    """Whether only this user, or root, can have put what is at ``path``, a file or a directory.

    It and all directories above belong to them, and nobody else may write; above, the sticky bit
    does, which keeps others from renaming what is not theirs. A group that is the user's own (of
    the same number, as Linux makes them) is the user. What is not there yet is not looked at.
    """
    user, whole = os.geteuid(), path.resolve()
    for place in (whole, *whole.parents):
        if not place.exists():
            continue
        found = place.stat()
        others = stat.S_IWOTH if found.st_gid == user else stat.S_IWOTH | stat.S_IWGRP
        guarded = place != whole and found.st_mode & stat.S_ISVTX
        if found.st_uid not in (user, 0) or (found.st_mode & others and not guarded):
            return False
    return True
