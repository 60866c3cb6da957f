"""Makes a board job: a directory that holds all that a run elsewhere needs, and can be checked.

    run.py  manifest.py  payload_000.py ...      the parts that work without the rest
    code/export  code/pynn_models  code/snn_ssm  the sources that the run imports
    network/  inputs.npz                         what is run, on what
    requirements.txt  spynnaker.cfg.template  SHA256SUMS

``manifest.py`` holds the SHA-256 of every other file. The payload is a zip archive, in base64, of
the files that are not Python: EBRAINS's job client uploads ``*.py`` only, and ``run.py`` restores
what it left behind.
"""

from __future__ import annotations

import ast
import base64
import io
import pprint
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.storage import ARRAYS_FILE, NETWORK_FILE, load_network
from export.job.chunk import inputs_digest, network_digest
from export.job.inputs import INPUTS, arrays_of
from export.job.results import CALIBRATION
from export.job.settings import BoardSettings
from export.samples.inputs import check_samples
from export.verification.contract import versions
from snn_ssm.files import read_bytes, sha256, whole_directory, write_atomic

if TYPE_CHECKING:
    from snn_ssm.tasks import Samples

_ROOT = Path(__file__).resolve().parents[2]  # of the three packages
_BOARD = _ROOT / "pynn_models" / "spinnaker" / "board"  # a job has one elsewhere
_TEMPLATE = Path(__file__).resolve().parent / "template"
_SCHEMA = 1  # of the manifest
_START = "export.job.runner"
_PAYLOAD_CHARACTERS = 4_000_000  # in one module: git hosts and editors still take it


def make_job(
    directory: Path,
    samples: Samples,
    out: Path,
    settings: BoardSettings | None = None,
    calibration: NDArray[Any] | None = None,
) -> str:
    """Write the job of the network in ``directory`` on ``samples`` into the new directory ``out``.

    ``settings``: how it runs on a board; None for a job of NEST and software only. ``calibration``:
    samples (B, C, L) whose spikes the board's scalings are for, instead of all inputs.
    Returns the SHA-256 of its ``manifest.py``, which stands for the whole. Raises ``FileError``
    where ``out`` exists, ``InputError`` for samples that do not fit, and what ``load_network``
    raises.
    """
    network = load_network(directory)
    check_samples(network, samples.inputs)
    files = {
        "run.py": read_bytes(_TEMPLATE / "run.py", "job template"),
        INPUTS: _npz(**arrays_of(samples, network)),
        **({} if calibration is None else {CALIBRATION: _npz(inputs=calibration)}),
        **{
            name: read_bytes(_TEMPLATE / name, "job template")
            for name in ("requirements.txt", "spynnaker.cfg.template")
        },
        **{
            f"network/{name}": read_bytes(Path(directory) / name, "network")
            for name in (NETWORK_FILE, ARRAYS_FILE)
        },
        **{f"code/{name}": data for name, data in code().items()},
    }
    digests = "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items()))
    files["SHA256SUMS"] = digests.encode()
    files |= _payload({n: data for n, data in files.items() if not n.endswith(".py")})
    if settings is not None and calibration is not None:
        settings = replace(settings, calibration_sha256=inputs_digest(calibration))
    manifest = _manifest(files, samples, network_digest(directory), settings)
    with whole_directory(Path(out), "job directory") as directory:
        for name, data in [*files.items(), ("manifest.py", manifest)]:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(directory / name, data)
    return sha256(manifest)


def _npz(**arrays: NDArray[Any]) -> bytes:
    members = {}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        members[f"{name}.npy"] = stream.getvalue()
    return _zip(members)


def _zip(files: Mapping[str, bytes]) -> bytes:
    """A zip archive, all with the earliest date: the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _manifest(
    files: Mapping[str, bytes], samples: Samples, network: str, settings: BoardSettings | None
) -> bytes:
    manifest = {
        "schema": _SCHEMA,
        "snn_ssm": versions().get("snn-ssm", "unknown"),
        "samples": len(samples),
        "network_sha256": network,
        "inputs_sha256": inputs_digest(samples.inputs),
        "board": None if settings is None else settings.described(),
        "files": {name: sha256(data) for name, data in sorted(files.items())},
    }
    text = pprint.pformat(manifest, width=98, sort_dicts=False)
    return f'"""What this job is made of, checked by run.py."""\n\nMANIFEST = {text}\n'.encode()


def _payload(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as modules ``payload_NNN.py``: a zip archive in base64, in pieces."""
    text = base64.encodebytes(_zip(files)).decode()
    pieces = range(0, len(text), _PAYLOAD_CHARACTERS)
    return {
        f"payload_{i:03d}.py": (
            f'"""Part {i + 1} of {len(pieces)} of this job\'s files that are not Python: a zip '
            f'archive in base64."""\n\nDATA = """\\\n{text[at : at + _PAYLOAD_CHARACTERS]}"""\n'
        ).encode()
        for i, at in enumerate(pieces)
    }


def code() -> dict[str, bytes]:
    """The sources that a run imports, by path: no torch, nothing of the training.

    Of ``export`` the modules reachable from the runner; of ``snn_ssm`` those that these import
    when they are loaded (what they import inside functions is the trainer's); ``pynn_models`` as a
    whole, with its C++ files, but for the emulated board. The ``__init__`` of a package is there as
    it is where a module takes a name from it, such as a registry; else, since it would load more,
    an empty one stands for it. ``pynn_models.jit`` is one that keeps no compiled code.
    """
    wanted, reached = [_START], {_START}
    while wanted:
        for name in _imports(wanted.pop()):
            if name not in reached:
                reached.add(name)
                wanted.append(name)
    files = {
        path.relative_to(_ROOT).as_posix(): read_bytes(path, "source")
        for path in sorted((_ROOT / "pynn_models").rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__" and _BOARD not in path.parents
    }
    files["pynn_models/jit.py"] = read_bytes(_TEMPLATE / "jit.py", "job template")
    for name in reached:
        packages = name.split(".")[:-1]
        for depth in range(1, len(packages) + 1):
            text = f'"""The part of {".".join(packages[:depth])} that a job needs."""\n'
            files[f"{'/'.join(packages[:depth])}/__init__.py"] = text.encode()
    for name in reached:
        source = _source(name)
        files[source.relative_to(_ROOT).as_posix()] = read_bytes(source, "source")
    return files


def _source(name: str) -> Path:
    path = _ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(name: str) -> Iterator[str]:
    """The modules of ``export`` and ``snn_ssm`` that a module imports, as :func:`code` has it."""
    tree = ast.parse(read_bytes(_source(name), "source"))
    at_load = {id(node) for node in tree.body}
    for_checkers = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in block.body
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom) or id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if _source(name).is_file() else f"{node.module}" for name in named]
        for module in found:
            package = module.split(".")[0]
            allowed = package == "export" or (package == "snn_ssm" and id(node) in at_load)
            if allowed and "." in module and _source(module).is_file():
                yield module
