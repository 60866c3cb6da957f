"""sPyNNaker's configuration, kept in a run's directory; the user's own is neither read nor written.

sPyNNaker reads ``.spynnaker.cfg`` from the user's home or configuration directory, writes one there
where there is none, and lets a ``spynnaker.cfg`` in the current directory override it. A process
that runs in a directory of its own, with a home of its own below it, leaves the user's alone.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from pynn_models.errors import SnnSsmError
from snn_ssm.files import write_atomic

CONFIGURATION = "spynnaker.cfg"
VIRTUAL = "virtual"
EMULATED = "emulated"
# Of a board on this computer, which is an emulated one: slower than real time, and without
# sPyNNaker's monitors for fast loading.
_EMULATED = (
    "enable_advanced_monitor_support = False\n"
    "enable_reinjection = False\n"
    "post_simulation_overrun_before_error = 600\n"
)
MACHINES = {
    3: "4 chips", 5: "48 chips", 201: "1 chip of SpiNNaker 2", 248: "48 chips of SpiNNaker 2",
}  # fmt: skip
CORES = {3: 63, 5: 759, 201: 150, 248: 7234}  # free for a network: less the monitors and gatherers
SPINNAKER_2 = (201, 248)


class BoardError(SnnSsmError):
    """A board that there is none of, cannot be used, or that a run failed on."""


class MissingConfigurationError(BoardError):
    """A run's directory without sPyNNaker's configuration."""


@dataclass(frozen=True)
class Board:
    """Where to run: ``address`` is ``virtual`` (mapping only), ``emulated`` (a board of the run's
    own on this computer), a board's address, or a spalloc URL.

    ``neurons_per_core``: 64, or as many as fit, if not given. ``time_scale_factor``: how many
    times slower than real time. Raises :class:`BoardError`.
    """

    address: str = VIRTUAL
    machine_version: int = 5
    neurons_per_core: int | None = None
    time_scale_factor: int = 1

    def __post_init__(self) -> None:
        if not self.address.strip() or any(c in self.address for c in "\r\n"):
            raise BoardError(
                f"--board is {self.address!r}; expected 'virtual', 'emulated', a board's address "
                "or a spalloc URL, for example https://spinnaker.cs.man.ac.uk/spalloc/."
            )
        if self.machine_version not in MACHINES:
            known = ", ".join(f"{k} ({v})" for k, v in MACHINES.items())
            raise BoardError(
                f"machine version {self.machine_version} is unknown; use one of {known}."
            )
        if self.machine_version in SPINNAKER_2 and not self.is_virtual:
            raise BoardError(
                f"machine version {self.machine_version} is SpiNNaker 2, on which sPyNNaker maps "
                "and does not run. Use --board virtual, or --machine-version 5."
            )
        if self.time_scale_factor < 1:
            raise BoardError(
                f"time scale factor {self.time_scale_factor}; expected 1 (real time) or more."
            )

    @property
    def is_virtual(self) -> bool:
        """Whether nothing runs: sPyNNaker only maps the network."""
        return self.address == VIRTUAL

    @property
    def is_emulated(self) -> bool:
        """Whether the address is this computer's own (127.*), where no real board is."""
        return self.address == EMULATED or self.address.startswith("127.")

    @property
    def is_spalloc(self) -> bool:
        """Whether a server lends boards, as many as the network needs."""
        return "://" in self.address


def configuration(board: Board) -> str:
    """The text of ``spynnaker.cfg`` for a board."""
    if board.is_virtual:
        machine = "virtual_board = True"
    elif board.is_spalloc:
        machine = f"spalloc_server = {board.address}"
    else:
        machine = f"machine_name = {board.address}"
    return (
        f"[Machine]\n{machine}\nversion = {board.machine_version}\n"
        f"time_scale_factor = {board.time_scale_factor}\n"
        f"{_EMULATED if board.is_emulated else ''}"
    )


def write_configuration(directory: Path, board: Board) -> None:
    """Write ``spynnaker.cfg`` into a run's directory."""
    write_atomic(directory / CONFIGURATION, configuration(board).encode())


def use_configuration(directory: Path, environment: MutableMapping[str, str]) -> None:
    """Point ``environment`` (such as ``os.environ``) at a home inside a run's directory.

    The process must also run in that directory. Raises :class:`MissingConfigurationError` for a
    directory without ``spynnaker.cfg``.
    """
    if not (directory / CONFIGURATION).is_file():
        raise MissingConfigurationError(
            f"{directory} has no {CONFIGURATION}; expected sPyNNaker's configuration there. Write "
            "one with [Machine] and virtual_board = True, machine_name or spalloc_server."
        )
    home = directory.resolve() / "home"
    settings = home / ".config"
    settings.mkdir(parents=True, exist_ok=True)
    (home / f".{CONFIGURATION}").touch()  # must exist; all is in the one beside it
    environment["HOME"] = os.fspath(home)
    environment["XDG_CONFIG_HOME"] = environment["XDG_CONFIG_DIRS"] = os.fspath(settings)
