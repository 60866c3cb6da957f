"""What every check of a configuration does: the error names the key, what it is, what it may be."""

from __future__ import annotations

from collections.abc import Collection

from pynn_models.errors import SnnSsmError

LARGEST = 2**16  # of sizes: more is a slip of the hand, which torch would answer without a name
LONGEST = 2**24  # of steps: a quarter of an hour of sound
FASTEST = 1e6  # of rates: more than float32 bears after a step or two
_SHOWN = 200  # characters of a wrong value


class ConfigError(SnnSsmError):
    """A configuration key is missing, unknown, of the wrong type or out of range."""


def require(condition: bool, where: str, found: object, expected: str) -> None:
    """Raise :class:`ConfigError` on the key ``where`` unless ``condition`` holds."""
    if not condition:
        shown = repr(found)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        raise ConfigError(f"[{where}] is {shown}; expected {expected}. Correct the configuration.")


def one_of(where: str, found: str, allowed: Collection[str]) -> None:
    """Raise :class:`ConfigError` on the key ``where`` unless ``found`` is among ``allowed``."""
    require(found in allowed, where, found, "one of " + ", ".join(allowed))
