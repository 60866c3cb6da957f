"""Where the shipped files are: package data, read through :mod:`importlib.resources`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pynn_models.errors import SnnSsmError

CHECKPOINTS = (
    "smnist-binary-s4d",
    "smnist-sparse",
    "smnist-stock",
    "smnist-glu",
    "smnist-gsu",
    "smnist-gsu-early",
    "smnist-gsu-sparse",
    "psmnist-gsu",
    "psmnist-gsu-wide",
    "image-gsu",
    "text-gsu",
    "listops-gsu",
    "pathfinder-gsu",
    "mitbih-intervals",
)


class ShippedError(SnnSsmError):
    """A shipped file is not there, or there is none of that name."""


def _path(*parts: str) -> Path:
    found = resources.files(__package__).joinpath(*parts)
    if not isinstance(found, Path) or not found.exists():
        raise ShippedError(
            f"{found} is not there: this installation lacks its data, or is a zip archive. "
            "Install the wheel, unpacked, or use a clone."
        )
    return found


def checkpoint(name: str = CHECKPOINTS[0]) -> Path:
    """The directory of a shipped checkpoint, one of ``CHECKPOINTS``.

    Raises :class:`ShippedError` for another name, or where the files are missing.

    >>> checkpoint("smnist-sparse").name
    'smnist-sparse'
    """
    if name not in CHECKPOINTS:
        raise ShippedError(
            f"no checkpoint {name!r} is shipped; expected one of {', '.join(CHECKPOINTS)}. "
            "Give the directory of your own to load_checkpoint."
        )
    return _path("checkpoints", name)


def related() -> dict[str, Path]:
    """Name -> checkpoint directory of every related system that is trained here on a small budget.

    Raises :class:`ShippedError` where they are missing.
    """
    return {path.name: path for path in sorted(_path("related").iterdir()) if path.is_dir()}


def images() -> Path:
    """The first 200 test images of MNIST: ``inputs`` (200, 1, 784) uint8, ``labels`` (200,).

    Raises :class:`ShippedError` where the file is missing.
    """
    return _path("data", "mnist-test-200.npz")


def configurations() -> dict[str, Path]:
    """Name -> TOML file of every shipped configuration, in the order of the names.

    ``paper-...`` are those of Stan & Rhodes, arXiv 2401.00955; the others fit a small machine.
    Raises :class:`ShippedError` where they are missing.
    """
    found = {path.stem: path for path in _path("configs").glob("*.toml")}
    return {name: found[name] for name in sorted(found)}
