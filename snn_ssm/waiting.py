"""How OpenMP's threads wait for work. Imports no torch: it is read when torch is loaded."""

from __future__ import annotations

import os

VARIABLE = "OMP_WAIT_POLICY"  # active: wait in a loop; passive: sleep


def sleep_when_idle() -> None:
    """Have OpenMP's threads sleep between two parallel regions, unless the environment says other.

    By default those of torch go on looking for work on the processor, for milliseconds, while the
    compiled operators' threads want it: on two cores a step of two threads then takes as long as
    of one. For this process and its children; to be called before torch is imported. Source: the
    OpenMP specification, 6.7 (OMP_WAIT_POLICY).
    """
    os.environ.setdefault(VARIABLE, "passive")
