"""How a job runs on a board: what is decided when it is made, and travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from export.job.chunk import JobError

MOST = 10_000  # times slower than real time: a day for ten seconds


@dataclass(frozen=True)
class BoardSettings:
    """``time_scale_factor``: how many times slower than real time; ``neurons_per_core``: 64, or as
    many as fit, if None; ``calibration_sha256``: of the samples that the scalings are for, None for
    all inputs. Raises :class:`JobError`."""

    time_scale_factor: int = 1
    neurons_per_core: int | None = None
    calibration_sha256: str | None = None

    def __post_init__(self) -> None:
        factor, most = self.time_scale_factor, self.neurons_per_core
        if type(factor) is not int or not 1 <= factor <= MOST:
            raise JobError(
                f"time scale factor {factor!r}; expected 1 (real time) to {MOST}. Choose another."
            )
        if most is not None and (type(most) is not int or most < 1):
            raise JobError(f"{most!r} neurons a core; expected at least 1. Choose more.")

    def described(self) -> dict[str, Any]:
        """As the manifest has it."""
        return asdict(self)


def board_settings(manifest: Mapping[str, Any]) -> BoardSettings:
    """The settings that a job's manifest holds.

    Raises :class:`JobError` for a job that was made without, and for what are no settings.
    """
    found = manifest.get("board")
    if found is None:
        raise JobError(
            "this job was made --without-board: it runs in NEST and in software. Make it anew for "
            "a board, with 'snn-ssm job'."
        )
    try:
        return BoardSettings(**found)
    except TypeError as error:
        raise JobError(f"the job's settings are none ({error}). Make the job anew.") from error
