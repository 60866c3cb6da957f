"""A Matplotlib figure as SVG inside a page: it takes the page's colours, and its values are kept.

Nothing in it is fetched, and its ids do not meet those of another figure. ``data-axes`` tells the
page's script where the axes are and what they show.
"""

from __future__ import annotations

import html
import io
import json
import re
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from export.pages.figure_style import INK, QUIET, TRACE

_DPI = 150  # of what is not a line or a letter
_POINTS = 72.0  # an inch; the units of Matplotlib's SVG
_COLOURS = {INK: "var(--ink)", QUIET: "var(--quiet)", TRACE: "var(--trace)"}


def inline_svg(figure: Figure, alt: str, name: str, kind: str) -> str:
    """The ``<svg>`` of a figure, described by ``alt``; ids begin with ``name``.

    ``kind`` is its class: ``wide`` or ``narrow``. The same figure gives the same text.
    """
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "snn-ssm", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", dpi=_DPI, metadata={"Date": None}, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    for colour, variable in _COLOURS.items():
        text = re.sub(re.escape(colour), variable, text, flags=re.IGNORECASE)
    found = re.search(r'viewBox="([^"]*)"', text)
    body = text[text.index(">") + 1 :]
    axes = html.escape(json.dumps([_axes(ax, figure) for ax in figure.axes]))
    return (
        f'<svg class="{kind}" role="img" aria-label="{html.escape(alt)}" '
        f'viewBox="{found[1] if found else ""}" data-axes="{axes}">{body}'
    )


def _axes(ax: Axes, figure: Figure) -> dict[str, Any]:
    """Box in the units of the viewBox, scales and labels; the lines that have a name."""
    height = figure.get_figheight() * _POINTS
    inches = ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    (x0, y0), (x1, y1) = inches.get_points() * _POINTS
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    below = ax.get_xlabel() or _label_below(ax, figure)
    return {
        "box": [round(v, 2) for v in (x0, height - y1, x1, height - y0)],
        "x": _axis(ax.xaxis, ax.get_xscale(), ax.get_xlim(), below),
        "y": _axis(ax.yaxis, ax.get_yscale(), ax.get_ylim(), ax.get_ylabel()),
        "series": [
            {
                "name": str(line.get_label()),
                "x": _rounded(line.get_xdata()),
                "y": _rounded(line.get_ydata()),
            }
            for line in lines
            if len(np.asarray(line.get_xdata())) > 2
        ],
    }


def _label_below(ax: Axes, figure: Figure) -> str:
    """The label of the lowest panel of the column, which stands for those above it."""
    column = [other for other in figure.axes if _column(other) == _column(ax)]
    return str(min(column, key=lambda other: other.get_position().y0).get_xlabel())


def _column(ax: Axes) -> int:
    spec = ax.get_subplotspec()
    return spec.colspan.start if spec is not None else 0


def _axis(axis: Axis, scale: str, limits: tuple[float, float], label: str) -> dict[str, Any]:
    """``names``: places and texts of an axis of names; ``whole``: it counts, as neurons do."""
    locator = axis.get_major_locator()
    names: list[list[Any]] = []
    if isinstance(locator, FixedLocator):  # ticks that were set, and are named
        texts = [label.get_text() for label in axis.get_majorticklabels()]
        names = [[float(at), text] for at, text in zip(locator(), texts, strict=False)]
    return {
        "scale": scale,
        "limits": [float(f"{v:.6g}") for v in limits],
        "label": " ".join(label.split()),
        "names": names,
        "whole": bool(getattr(locator, "_integer", False)),
    }


def _rounded(values: Any) -> list[float]:
    """Four digits: as many as are shown."""
    return [float(f"{float(v):.4g}") for v in np.asarray(values)]
