"""The root of the project's error hierarchy.

It lives here because `pynn_models` imports neither `snn_ssm` nor `export`, while both may
import this package. Every other error stands in the module it concerns. A message says what
was found, where, what was expected, and what to do.
"""

from __future__ import annotations


class SnnSsmError(Exception):
    """Anything this project refuses to do."""


def printable(text: str) -> str:
    """A text as a terminal may have it: control characters as escapes, new lines and tabs as such.

    Names in a stranger's files can hold sequences that clear a screen or set a title.
    """
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
