"""Figures and pages: what was found, to look at.

In come a network, recordings and a verification's result; out come Matplotlib Axes and one HTML
file.
"""

from export.pages.answer_figures import (
    plot_confusion,
    plot_margins,
    plot_misclassified,
    plot_spike_rates,
)
from export.pages.figure_style import ReportError
from export.pages.figures import plot_input_and_rasters, plot_membranes, plot_spike_density
from export.pages.mode_figures import kernels, plot_kernels, plot_modes
from export.pages.page import Drawing, Section, html_report
from export.pages.report import write_report

__all__ = [
    "Drawing",
    "ReportError",
    "Section",
    "html_report",
    "kernels",
    "plot_confusion",
    "plot_input_and_rasters",
    "plot_kernels",
    "plot_margins",
    "plot_membranes",
    "plot_misclassified",
    "plot_modes",
    "plot_spike_density",
    "plot_spike_rates",
    "write_report",
]
