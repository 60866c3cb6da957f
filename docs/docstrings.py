"""For mkdocstrings: an extension that hands it every docstring as Markdown."""

from __future__ import annotations

from typing import Any

import griffe
from roles import markdown


class Markdown(griffe.Extension):
    """Applies :func:`roles.markdown` to every docstring that is loaded."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
