"""Registries: names, refusals, and what others add."""

from dataclasses import dataclass

import pytest

from export.description.cells import kind_of
from pynn_models.registry import Registry, RegistryError


@dataclass(frozen=True)
class Kind:
    name: str


def test_kinds_by_name_and_in_order():
    one, two = Kind("one"), Kind("two")
    registry = Registry("kind", one)
    assert registry.add(two) is two
    assert list(registry) == ["one", "two"] and len(registry) == 2
    assert registry["two"] is two and "two" in registry
    assert registry.get("three") is None and "three" not in registry


def test_an_unknown_name_and_one_that_is_taken():
    registry = Registry("shape", Kind("one"), Kind("two"))
    with pytest.raises(RegistryError) as caught:
        _ = registry["three"]
    assert str(caught.value) == "the shape 'three' is unknown; use one of one, two."
    with pytest.raises(RegistryError) as caught:
        registry.add(Kind("two"))
    assert str(caught.value) == (
        "there is a shape 'two' already; expected a name of its own. Taken are one, two."
    )


def test_a_cell_of_a_class_that_is_not_registered():
    with pytest.raises(RegistryError, match="a Kind is no cell that is known here; expected one of "
                       "StateSpaceCell, LeakyCell, EgruCell. Register its kind"):
        kind_of(Kind("cell"))
