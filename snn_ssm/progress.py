"""Progress: a bar on a terminal, lines in a log. Imports no torch.

The logger ``snn_ssm`` takes the lines; above the level of warnings it silences bars, too.
"""

from __future__ import annotations

import logging
from typing import Any

from tqdm import tqdm

LOG = logging.getLogger("snn_ssm")


def progress_bar(total: int | None = None, *, silent: bool = False, **options: Any) -> Any:
    """A ``tqdm`` bar, which is drawn on a terminal only."""
    quiet = silent or LOG.getEffectiveLevel() > logging.WARNING
    return tqdm(total=total, disable=True if quiet else None, **options)
