"""The kinds of cell: one file each, registered here."""

from __future__ import annotations

from export.description.cells.egru import EGRU
from export.description.cells.kind import Cell, CellKind, Family
from export.description.cells.leaky import LEAKY
from export.description.cells.state_space import STATE_SPACE
from pynn_models.registry import Registry, RegistryError

KINDS: Registry[CellKind] = Registry("kind of cell", STATE_SPACE, LEAKY, EGRU)


def kind_of(cell: Cell) -> CellKind:
    """The kind of a cell; raises :class:`RegistryError` for one whose class is not registered."""
    for kind in KINDS.values():
        if type(cell) is kind.cell:
            return kind
    raise RegistryError(
        f"a {type(cell).__name__} is no cell that is known here; expected one of "
        f"{', '.join(kind.cell.__name__ for kind in KINDS.values())}. Register its kind: "
        "export.description.cells.KINDS.add(...)."
    )


def families() -> dict[str, tuple[Family, CellKind]]:
    """What a network's ``cells`` can be: each family with its kind, by name."""
    return {f.name: (f, kind) for kind in KINDS.values() for f in kind.families}


__all__ = ["KINDS", "STATE_SPACE", "Cell", "CellKind", "Family", "families", "kind_of"]
