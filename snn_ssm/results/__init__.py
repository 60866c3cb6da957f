"""Metrics of runs, and the page that lists them. Imports no torch."""

from snn_ssm.results.labels import model_name
from snn_ssm.results.metrics import Activity, measure, synaptic_operations
from snn_ssm.results.page import read_metrics

__all__ = ["Activity", "measure", "model_name", "read_metrics", "synaptic_operations"]
