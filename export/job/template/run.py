"""Runs this board job.

    python run.py spiNNaker|nest|software [--out DIR] [--chunk N] [--part I/N] [--processes P]

From any directory. First it compares every file here with manifest.py; files that are not Python
and that a transfer left behind (EBRAINS's client uploads *.py only) are restored from
payload_*.py. A file of code that manifest.py does not list is refused. Results go to
results/SIMULATOR beside this file: the spikes of a chunk of samples each, and summary.json. Started
again, it runs the samples that have no whole result yet.

Until the check is done this file uses Python's own library only, and nothing from this directory.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - another Python may be the one at hand
    print(f"run.py: needs Python 3.11 or later, not {sys.version.split()[0]}", file=sys.stderr)
    sys.exit(2)
# Python puts the directory of the script first on its path, and a zipfile.py there would run
# instead of its own; so not even `from __future__` may come before this.
if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

import ast
import base64
import binascii
import hashlib
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AGAIN = "Copy the job again, or make it anew with 'snn-ssm job'."
MANIFEST = "manifest.py"
KEYS = {"files", "inputs_sha256", "network_sha256", "samples", "snn_ssm"}
RESTORED = ".restored"
LONG_AGO = 600.0  # seconds
CODE = (("code",), ("network",))  # of these every file is listed
OWN = ("results", ".git")  # of these none is
# What Python might load: sources, bytecode, extensions, archives, and numba's pickles.
LOADABLE = (
    ".py", ".pyc", ".pyo", ".pyd", ".pyw", ".pth", ".egg", ".zip", ".whl", ".so", ".dll", ".dylib",
    ".nbi", ".nbc", ".pkl", ".pickle",
)


class BundleError(Exception):
    """A file of the job is missing or altered, or one that does not belong to it is there."""


def literal(path: Path, name: str) -> Any:
    """The value that a module assigns to ``name``, without running the module."""
    try:
        tree = ast.parse(content(path))
        found = [
            ast.literal_eval(node.value) for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
        ]
        return found[0]
    except (OSError, SyntaxError, ValueError, IndexError, RecursionError, MemoryError) as error:
        raise BundleError(f"{path} cannot be read ({error}). {AGAIN}") from error


def content(path: Path) -> bytes:
    """The content of a regular file: a pipe would never end."""
    if path.exists() and not path.is_file():
        raise OSError(22, "it is no regular file")
    return path.read_bytes()


def read_manifest() -> dict[str, Any]:
    """What manifest.py holds."""
    manifest = literal(HERE / MANIFEST, "MANIFEST")
    files = manifest.get("files") if isinstance(manifest, dict) else None
    whole = isinstance(manifest, dict) and manifest.keys() >= KEYS
    if not whole or not isinstance(files, dict) or not all(map(is_name, files)):
        raise BundleError(f"{HERE / MANIFEST} does not describe this directory. {AGAIN}")
    return dict(manifest)


def is_name(name: Any) -> bool:
    """Whether this is a path below this directory."""
    return isinstance(name, str) and not ({"", ".", ".."} & set(name.split("/")))


def unlisted(files: Mapping[str, str]) -> Iterator[str]:
    """The files here that manifest.py does not list and that Python might come to load."""
    folders = {"/".join(parts[:i]) for parts in (n.split("/") for n in files) for i in range(9)}
    for directory, below, names in os.walk(HERE):
        at = Path(directory).relative_to(HERE)
        if at == Path():
            below[:] = [name for name in below if name not in OWN]
        strict = at.parts[:1] in CODE
        for name in below:
            path = (at / name).as_posix()
            wrong = path not in folders or (HERE / path).is_symlink()
            if name == "__pycache__" or (strict and wrong):
                yield path
        for name in names:
            path = (at / name).as_posix()
            if (strict or name.lower().endswith(LOADABLE)) and path not in {*files, MANIFEST}:
                yield path


def check(files: Mapping[str, str]) -> list[str]:
    """Compare every file with its SHA-256; returns those, not Python, that are not there."""
    for name in unlisted(files):
        raise BundleError(
            f"{HERE / name} does not belong to this job: {MANIFEST} does not list it, and Python "
            "might load it. Delete it."
        )
    absent = []
    for name, expected in files.items():
        path = HERE / name
        try:
            found = hashlib.sha256(content(path)).hexdigest()
        except FileNotFoundError:
            if path.suffix != ".py":
                absent.append(name)
                continue
            raise BundleError(
                f"{path} is missing; expected a file of SHA-256 {expected}. {AGAIN}"
            ) from None
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}. {AGAIN}") from error
        if found != expected:
            remedy = AGAIN
            if path.suffix != ".py":
                remedy = "Delete it: run.py then restores it from payload_*.py."
            raise BundleError(
                f"{path} was altered: its SHA-256 is {found}, expected {expected}. {remedy}"
            )
    return absent


def restore(names: list[str], files: Mapping[str, str]) -> None:
    """Write files from the archive in payload_*.py, whose own hashes were checked."""
    modules = sorted(name for name in files if name.startswith("payload_"))
    text = "".join(str(literal(HERE / name, "DATA")) for name in modules)
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
            found = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, binascii.Error, KeyError, ValueError) as error:
        raise BundleError(f"payload_*.py hold no archive of {names} ({error}). {AGAIN}") from error
    for name, data in found.items():
        path = HERE / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Here, where a file that a kill leaves behind is none of the code's.
            handle, temporary = tempfile.mkstemp(dir=HERE, prefix=RESTORED)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(temporary, (HERE / "run.py").stat().st_mode & 0o666)
            os.replace(temporary, path)
        except OSError as error:
            raise BundleError(
                f"{path} is missing and cannot be restored: {error.strerror}. Copy the job to "
                "a directory that you may write to."
            ) from error
    if check(files):
        raise BundleError(f"{HERE} changes while run.py restores it. {AGAIN}")
    print(f"run.py: restored {len(names)} files from payload_*.py")


def remove_leftovers() -> None:
    """Remove what a killed run.py was restoring, but nothing that another one restores now."""
    for path in HERE.glob(f"{RESTORED}*"):
        try:
            if time.time() - path.stat().st_mtime > LONG_AGO:
                path.unlink()
        except OSError:  # it does no harm
            continue


def use_code() -> None:
    """Import from the checked code first, and from nothing else of this directory."""
    sys.path[:] = [e for e in sys.path if not Path(e or ".").resolve().is_relative_to(HERE)]
    sys.path.insert(0, str(HERE / "code"))


def main() -> int:
    """Check, restore, and hand over to the code of this job."""
    sys.dont_write_bytecode = True
    try:
        manifest = read_manifest()
        absent = check(manifest["files"])
        remove_leftovers()
        if absent:
            restore(absent, manifest["files"])
    except BundleError as error:
        print(f"run.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    use_code()
    from export.job.runner import main as run

    return run(HERE, manifest, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
