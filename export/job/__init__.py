"""Board jobs: a self-contained directory that runs elsewhere, and the check of what comes back.

In come a network's directory and samples; out comes a directory with ``run.py``. Its results go to
``snn-ssm verify --recording``.
"""

from export.job.make import make_job
from export.job.results import verify_results

__all__ = [
    "make_job",
    "verify_results",
]
