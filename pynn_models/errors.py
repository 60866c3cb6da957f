"""The root of the project's error hierarchy.

It lives here because `pynn_models` imports neither `snn_ssm` nor `export`, while both may
import this package. Every other error stands in the module it concerns. A message says what
was found, where, what was expected, and what to do.
"""

from __future__ import annotations


class SnnSsmError(Exception):
    """Anything this project refuses to do."""
