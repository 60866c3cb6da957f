"""Runs scripts of sPyNNaker one after the other in this process, which imports it once.

``python board_scripts.py SCRIPT[,ARGUMENT...] ...`` in a directory with ``spynnaker.cfg``; prints
for each the last line that it printed itself.
"""

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path

from export.boards.config import use_configuration

if __name__ == "__main__":
    use_configuration(Path.cwd(), os.environ)
    for call in sys.argv[1:]:
        script, *arguments = call.split(",")
        sys.argv = [script, *arguments]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_path(script, run_name="__main__")
        print("RESULT", printed.getvalue().strip().splitlines()[-1], flush=True)
