"""What a process of ``snn-ssm`` owes its surroundings: streams, signals, its exit status.

0 done; 1 a comparison failed, and nothing else; 2 refused, the reason on standard error; 70 a bug,
with its traceback; 130 interrupted, by Ctrl-C or SIGTERM; 141 whoever read the output went away.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable

from pynn_models.errors import SnnSsmError, printable

COMPARISON_FAILED = 1
_OF_A_NAME = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)
_SHOWN = 100  # characters of such a name
REFUSED, BUG, INTERRUPTED, CLOSED_PIPE = 2, 70, 130, 141


def prepare(quiet: bool) -> None:
    """Before the work: no backend of a notebook, no chatter; progress unless ``quiet``."""
    # Ours are figures without a window, and a notebook's backend is not there in its '!' commands.
    os.environ["MPLBACKEND"] = "agg"
    os.environ.setdefault("PYNEST_QUIET", "1")
    # PyNN calls parts of NEST that NEST calls deprecated; a user can do nothing about it.
    warnings.filterwarnings("ignore", module=r"(nest|pyNN)\.")
    log = logging.getLogger("snn_ssm")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
    log.setLevel(logging.ERROR if quiet else logging.INFO)


def guarded(work: Callable[[], int]) -> int:
    """Run ``work``, and say how it ended by its status and at most one line, but for a bug."""
    try:
        status = work()
        sys.stdout.flush()
        return status
    except SnnSsmError as error:
        return _end(REFUSED, printable(f"{type(error).__name__}: {error}"))
    except KeyboardInterrupt as interrupt:
        return _end(INTERRUPTED, ": ".join(["interrupted", *map(str, interrupt.args)]))
    except MemoryError:
        return _end(REFUSED, "there is not enough memory. Use fewer samples, or a smaller network.")
    except BrokenPipeError:
        _give_up_output()
        return CLOSED_PIPE
    except OSError as error:
        if error.filename is not None and error.errno in _OF_A_NAME:
            place = os.fsdecode(error.filename)
            return _end(REFUSED, printable(
                f"{place[:_SHOWN]}: {error.strerror}. Check the name, and who may read and write "
                "there."
            ))
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG):
            return _bug()
        _give_up_output()
        return _end(REFUSED, f"the output cannot be written ({error.strerror}). Make room for it.")
    except Exception as error:
        # A library of C++ that is interrupted while it is loaded says that it cannot be.
        return _end(INTERRUPTED, "interrupted") if _of_an_interrupt(error) else _bug()


def _of_an_interrupt(error: BaseException | None) -> bool:
    """Whether an interrupt is the cause of an error, or of its cause."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _bug() -> int:
    _say(traceback.format_exc().rstrip())
    return _end(BUG, "this is a bug in snn-ssm; please report it with the lines above.")


def _end(status: int, text: str) -> int:
    _say(f"snn-ssm: {text}")
    return status


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _give_up_output() -> None:
    """Let Python's own last flush of what could not be written go nowhere, and not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
