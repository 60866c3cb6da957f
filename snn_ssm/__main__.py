"""Starts the command line: ``python -m snn_ssm``, and the console script ``snn-ssm``."""
# PYTHON_ARGCOMPLETE_OK

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _load_export() -> None:
    """Load the ``export`` that stands beside this package, whatever else has the name.

    A user's own ``export.py`` comes first on the path where ``PYTHONPATH=.`` is set, or with
    ``python -m``; it would hide the package.
    """
    path = Path(__file__).resolve().parents[1] / "export" / "__init__.py"
    spec = importlib.util.spec_from_file_location("export", path)
    if "export" in sys.modules or spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["export"] = module
    spec.loader.exec_module(module)


def main() -> int:
    """Run one command of ``snn-ssm``; returns its exit status."""
    _load_export()
    from export.command import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
