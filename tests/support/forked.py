"""Processes of Python that have sPyNNaker imported when they begin, which takes three seconds.

:func:`run` stands in for ``subprocess.run`` of ``python -m MODULE`` or ``python FILE``: one process
imports sPyNNaker, once, and forks each of them, which then has a directory, an environment and
streams of its own. The tests keep true starts beside it, of the same modules.

``python forked.py SOCKET`` is that one process; it ends with its standard input.
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def _server():
    """The socket of the process that forks, started when it is first needed."""
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "socket")
    server = subprocess.Popen(
        [sys.executable, __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": directory}, cwd=directory,
    )  # fmt: skip
    atexit.register(server.wait)
    atexit.register(server.stdin.close)  # first
    if server.stdout.readline() != b"ready\n":
        raise RuntimeError("the process that forks others did not start")
    return path


def run(command, cwd=None, env=None, stdout=None, **streams):
    """As ``subprocess.run(..., check=False)`` with ``stdout`` and ``stderr`` in one file, or both
    captured, as text and in one."""
    captured = stdout is None
    with tempfile.TemporaryFile() if captured else open(os.dup(stdout.fileno()), "wb") as file:
        request = {
            "arguments": list(map(str, command[1:])), "cwd": str(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
            "output": f"/proc/{os.getpid()}/fd/{file.fileno()}",
        }
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(_server())
            connection.sendall(json.dumps(request).encode() + b"\n")
            status = int(connection.makefile().readline())
        said = ""
        if captured:
            file.seek(0)
            said = file.read().decode()
    return subprocess.CompletedProcess(command, status, said, "")


@contextlib.contextmanager
def workers():
    """Workers of boards (:mod:`export.boards.execution`) are such processes."""
    from export.boards import execution

    stand_in = SimpleNamespace(run=run, STDOUT=subprocess.STDOUT, DEVNULL=subprocess.DEVNULL)
    with mock.patch.object(execution, "subprocess", stand_in):
        yield


def _become(request):
    """Be the process that was asked for; does not return."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output = os.open(request["output"], os.O_WRONLY | os.O_APPEND)
    for stream, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, stream)
    paths = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path and path not in sys.path]
    status = 1
    try:
        first, *others = request["arguments"]
        if first == "-m":
            sys.argv = others
            runpy.run_module(others[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [first, *others]
            sys.path.insert(0, os.path.dirname(first))
            runpy.run_path(first, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(path):
    import pyNN.spiNNaker  # noqa: F401

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        request = json.loads(connection.makefile().readline())
        child = os.fork()
        if not child:
            connection.close()
            _become(request)
        _, status = os.waitpid(child, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
