"""What the emulated board refuses."""

from __future__ import annotations

from pynn_models.errors import SnnSsmError


class EmulatedBoardError(SnnSsmError):
    """An emulated board that cannot be started or used."""


class BoardAddressError(EmulatedBoardError):
    """An address that is not this computer's own, or is taken."""


class BoardStoppedError(EmulatedBoardError):
    """A board that ended by itself."""


class UnicornNotInstalledError(EmulatedBoardError, ImportError):
    """There is nothing that executes ARM code."""


class CoreError(Exception):
    """A program that did what there is no memory, instruction or register for."""
