"""Training: one plain loop, its optimisation, its state, its evaluation.

In come a ``Config`` and samples; out come a checkpoint and metrics, which :mod:`export.lowering`
and :mod:`snn_ssm.results` read.
"""

from snn_ssm.model.restore import load_network
from snn_ssm.training.evaluation import evaluate
from snn_ssm.training.loop import train

__all__ = [
    "evaluate",
    "load_network",
    "train",
]
