"""What is printed is text: names in files cannot steer the terminal."""

from __future__ import annotations

from typing import Any, TextIO

from pynn_models.errors import printable


class Printed:
    """A text stream that shows control characters as escapes; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, its control characters as escapes; returns the text's length."""
        self._stream.write(printable(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
