"""A page: one HTML file that refers to nothing outside itself, with every text escaped.

A page is sections; a section is paragraphs, tables, preformatted text and drawings. Every drawing
is drawn twice, for a wide window and for a narrow one.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import count
from pathlib import Path

from matplotlib.figure import Figure

from export.pages.figure_style import ReportError
from export.pages.svg import inline_svg
from snn_ssm.files import write_atomic

WIDE, NARROW = 12.0, 4.6  # inches
_TOOLS = "".join(
    f'<button type="button" data-zoom="{factor}" aria-label="{what}">{sign}</button>'
    for factor, what, sign in (("0.6", "zoom in", "+"), ("1.6", "zoom out", "-"), ("0", "all", "⤢"))
)

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Drawing:
    """A figure: ``draw`` makes it for a width in inches; ``alt`` says in words what it shows.

    ``half``: it needs no more than half a wide window.
    """

    draw: Callable[[float], Figure]
    caption: str
    alt: str
    half: bool = False


@dataclass(frozen=True)
class Section:
    """What stands below a heading: paragraphs, then tables, preformatted text, drawings.

    A table is rows of the same keys, which are its headers; numbers stand on the right.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Rows] = ()
    code: Sequence[str] = ()
    drawings: Sequence[Drawing] = field(default_factory=tuple)


def html_report(
    path: Path, title: str, verdict: tuple[str, bool], sections: Sequence[Section]
) -> None:
    """Write a page: title, a verdict and whether it is a good one, and sections.

    The file appears whole or not at all.
    Raises: :class:`ReportError` for rows with different keys, ``FileError`` for a path that cannot
    be written.
    """
    static = resources.files(__package__).joinpath("static")
    numbers = count(1)
    parts = [_section(i, section, numbers) for i, section in enumerate(sections)]
    links = "\n".join(
        f'<a href="#s{i}">{html.escape(section.title)}</a>' for i, section in enumerate(sections)
    )
    said, good = verdict
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{static.joinpath("report.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
<p class="verdict {"good" if good else "bad"}">{html.escape(said)}</p>
<nav>
{links}
</nav>
{chr(10).join(parts)}
</main>
<script>
{static.joinpath("report.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""
    write_atomic(Path(path), page.encode("utf-8", "backslashreplace"))


def _section(index: int, section: Section, numbers: Iterator[int]) -> str:
    parts = [f'<section id="s{index}">', f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in section.text]
    parts += [_table(rows) for rows in section.tables if rows]
    parts += [f"<pre>{html.escape(text)}</pre>" for text in section.code]
    parts += [_figure(next(numbers), drawing) for drawing in section.drawings]
    return "\n".join([*parts, "</section>"])


def _table(rows: Rows) -> str:
    """A table whose headers are the keys of the rows; columns of numbers are set right."""
    headers = list(rows[0])
    for i, row in enumerate(rows):
        if list(row) != headers:
            raise ReportError(
                f"row {i} of the table has the columns {', '.join(row)}; row 0 has "
                f"{', '.join(headers)}. Give every row the same keys, in the same order."
            )
    kinds = {
        header: ' class="number"' if all(_is_number(row[header]) for row in rows) else ""
        for header in headers
    }
    head = "".join(f'<th scope="col"{kinds[h]}>{html.escape(h)}</th>' for h in headers)
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td{kinds[h]} data-name="{html.escape(h)}">'
            f"<span>{html.escape(str(row[h]))}</span></td>"
            for h in headers
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="rows">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _is_number(value: object) -> bool:
    try:
        float(str(value).replace(",", ""))
    except ValueError:
        return False
    return True


def _figure(number: int, drawing: Drawing) -> str:
    wide = WIDE / 2 if drawing.half else WIDE
    pictures = "\n".join(
        inline_svg(drawing.draw(width), drawing.alt, f"f{number}{kind[0]}", kind)
        for kind, width in (("wide", wide), ("narrow", NARROW))
    )
    kind = ' class="half"' if drawing.half else ""
    return (
        f"<figure{kind}>"
        f'{pictures}\n<div class="tools">{_TOOLS}</div>\n'
        f"<figcaption>Figure {number}. {html.escape(drawing.caption)}</figcaption></figure>"
    )
