"""An emulated SpiNNaker board on a loopback address, for sPyNNaker as it is.

Host side and programs are unmodified: cores execute ARM code in Unicorn (GNU General Public
License, version 2), the monitor's part of the protocol is imitated. Functional emulation with an
estimate of time: spikes, membranes and memory are the programs' own to the bit; every tick lasts
until all is done, no core is late and no packet is lost.
"""

from __future__ import annotations

import itertools

from pynn_models.spinnaker.board.chip import CoreMaker
from pynn_models.spinnaker.board.errors import (
    BoardAddressError,
    BoardStoppedError,
    EmulatedBoardError,
)
from pynn_models.spinnaker.board.server import EmulatedBoard

__all__ = [
    "BoardAddressError",
    "BoardStoppedError",
    "EmulatedBoard",
    "EmulatedBoardError",
    "emulated_board",
]


def emulated_board(
    address: str | None = None, version: int = 5, make: CoreMaker | None = None
) -> EmulatedBoard:
    """A board to be used by ``with``; at an address that is free, if none is given.

    ```
    with emulated_board() as board:
        Path("spynnaker.cfg").write_text(board.configuration)
        ...  # run a script of sPyNNaker in this directory
    ```

    ``version``: 3 (4 chips) or 5 (48 chips); ``make``: as of :class:`EmulatedBoard`. Raises
    :class:`BoardAddressError`, :class:`EmulatedBoardError`.
    """
    if address is not None:
        return EmulatedBoard(address, version, make)
    for last, high in itertools.product(range(9, 255), range(256)):
        try:
            return EmulatedBoard(f"127.0.{high}.{last}", version, make)
        except BoardAddressError as error:
            taken = error
    raise BoardAddressError(
        "no address of 127.0.* is free. Stop some of the boards, or the program that has one of "
        f"their ports at every address. The last of them: {taken}"
    )
