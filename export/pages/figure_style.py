"""The one look of all figures: colours, sizes, axes, legends.

Colours are those of Okabe and Ito, which stay apart for colour-blind readers. Nothing is shown, and
there is no pyplot state.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pynn_models.errors import SnnSsmError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
QUIET = "#6b6b6b"
TRACE = "#A6D4F2"  # a wide, light line below thin ones
WIDTH = 7.2  # inches
TEXT = 9.0  # points
SMALL_TEXT = TEXT - 1


class ReportError(SnnSsmError):
    """A figure or report of something that is not there, or of parts that do not fit."""


def layer_colour(index: int) -> str:
    """The colour of the layer of that number, the same in every figure."""
    return COLOURS[index % len(COLOURS)]


def plain(text: str) -> str:
    """A name as it is: matplotlib would take what stands between dollars for mathematics."""
    return text.replace("$", r"\$")


def axes_of(ax: Axes | None, height: float, width: float = WIDTH) -> Axes:
    """The given Axes, or those of a new Figure of that size in inches."""
    return ax or Figure(figsize=(width, height), layout="constrained").add_subplot()


def finish(ax: Axes, xlabel: str, ylabel: str, title: str) -> None:
    """Labels as plain text, sizes and thin spines: the one look of all figures."""
    ax.set_xlabel(plain(xlabel), fontsize=TEXT, color=INK)
    ax.set_ylabel(plain(ylabel), fontsize=TEXT, color=INK)
    ax.set_title(plain(title), fontsize=TEXT, color=INK, loc="left")
    ax.tick_params(labelsize=SMALL_TEXT, color=QUIET, labelcolor=INK, width=0.6, length=3)
    ax.tick_params(which="minor", color=QUIET, width=0.4, length=1.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=QUIET, linewidth=0.6)


def side_legend(ax: Axes, **options: Any) -> None:
    """The legend beside the axes, where it hides nothing."""
    legend = ax.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=SMALL_TEXT, **options
    )
    legend.get_title().set_fontsize(SMALL_TEXT)
    legend.get_title().set_color(INK)
