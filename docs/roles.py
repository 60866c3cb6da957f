"""Docstrings as Markdown, which are written so that they also read as text.

A role such as ``:func:`~a.b.name``` becomes its name as code; an example of doctest a block of
code; ``Shapes:``, ``Units:`` and ``Raises:`` begin lines of their own; what is indented below a
``::`` is code.
"""

from __future__ import annotations

import re

_ROLE = re.compile(r":(?:\w+:)?\w+:`~?(?:[^`<]*\.)?([^`]+)`")
_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>>)(?!\s*$).*\n?)*)+", re.MULTILINE)


def markdown(docstring: str) -> str:
    """The docstring as Markdown."""
    text = re.sub(r"::(?=\n\n {4})", ":", _ROLE.sub(r"`\1`", docstring))
    text = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)
    # Two blanks at the end of a line break it.
    return re.sub(r"(?<=[^\n])\n(?=(?:Shapes|Units|Raises|Returns|Source|Errors)\b)", "  \n", text)
