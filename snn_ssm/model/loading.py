"""Classes by their names, as the registries of kinds have them."""

from __future__ import annotations

import importlib
from typing import Any


def load(name: str) -> Any:
    """The class of ``"package.module:Class"``."""
    module, _, found = name.partition(":")
    return getattr(importlib.import_module(module), found)
