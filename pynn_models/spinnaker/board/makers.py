"""Which cores a board has: those in C, or those in Python where C cannot be compiled."""

from __future__ import annotations

import importlib.util

from pynn_models.spinnaker.board.chip import CoreMaker, Say
from pynn_models.spinnaker.board.compiled import NoNativeCoreError
from pynn_models.spinnaker.board.errors import UnicornNotInstalledError


def native_or_python(say: Say) -> CoreMaker:
    """Cores in C; in Python, and slower, where there is no compiler, which is said.

    Raises :class:`UnicornNotInstalledError`.
    """
    if importlib.util.find_spec("unicorn") is None:
        raise UnicornNotInstalledError(
            "an emulated board executes ARM code in Unicorn, which is not installed. Install it: "
            "pip install 'snn-ssm[spinnaker]'."
        )
    from pynn_models.spinnaker.board.native_core import NativeCore, library
    from pynn_models.spinnaker.board.python_core import PythonCore

    try:
        library()
    except NoNativeCoreError as error:
        say(f"slow, and without an estimate of time: {error}")
        return PythonCore
    return NativeCore
