"""Registries: the kinds of something, by name; a new kind is one file and one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from pynn_models.errors import SnnSsmError


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """The name by which files, configurations and the command line call it."""


Kind = TypeVar("Kind", bound=Named)


class RegistryError(SnnSsmError):
    """A kind by a name that there is none of, or a second one of the same name."""


class Registry(Mapping[str, Kind], Generic[Kind]):
    """The kinds of ``what``, in order, by their names; ``add`` takes those of others.

    Raises: :class:`RegistryError` for a name that is not there, and for one that is taken.
    """

    def __init__(self, what: str, *kinds: Kind) -> None:
        self.what = what
        self._kinds: dict[str, Kind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> Kind:
        """Take ``kind`` in, and return it."""
        if kind.name in self._kinds:
            raise RegistryError(
                f"there is a {self.what} {kind.name!r} already; expected a name of its own. "
                f"Taken are {', '.join(self._kinds)}."
            )
        self._kinds[kind.name] = kind
        return kind

    def __getitem__(self, name: str) -> Kind:
        if name not in self._kinds:
            raise RegistryError(
                f"the {self.what} {name!r} is unknown; use one of {', '.join(self._kinds)}."
            )
        return self._kinds[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The kind of that name, or ``default``."""
        return self._kinds.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)
