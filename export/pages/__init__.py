"""Figures and pages: what was found, to look at.

In come a network, recordings and a verification's result; out come Matplotlib Axes and one HTML
file.
"""

from export.pages.figure_style import ReportError
from export.pages.figures import (
    plot_confusion,
    plot_input_and_rasters,
    plot_membranes,
    plot_spike_rates,
)
from export.pages.mode_figures import kernels, plot_kernels, plot_modes
from export.pages.report import html_report, write_report

__all__ = [
    "ReportError",
    "html_report",
    "kernels",
    "plot_confusion",
    "plot_input_and_rasters",
    "plot_kernels",
    "plot_membranes",
    "plot_modes",
    "plot_spike_rates",
    "write_report",
]
