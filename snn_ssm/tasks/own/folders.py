"""Where a user's samples are: a file a split, or a folder of one file a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import DataError, Samples
from snn_ssm.tasks.checks import check_steps
from snn_ssm.tasks.own import arrays, tables
from snn_ssm.tasks.own.encoded import encoded
from snn_ssm.tasks.own.recordings import Recordings, answering, fitted, to_samples

SPLITS = ("train", "valid", "test")

# What reads one file, by the end of its name.
_FILES: Mapping[str, Callable[[Path, TaskConfig], Recordings]] = {
    ".npz": arrays.read_arrays,
    ".csv": tables.read_table,
    ".parquet": tables.read_table,
    ".h5": tables.read_spikes,
}


def splits(directory: Path) -> dict[str, Path]:
    """The files or folders of a directory that hold a split each, by its name."""
    found = {}
    for split in SPLITS:
        names = [f"{split}{end}" for end in _FILES] + [split]
        there = [path for name in names if (path := directory / name).exists()]
        if len(there) > 1:
            raise DataError(
                f"{directory} has {' and '.join(path.name for path in there)}; expected one of "
                f"them for the split {split!r}. Move the others away."
            )
        if there:
            found[split] = there[0]
    return found


def read_recordings(path: Path, task: TaskConfig) -> Recordings:
    """What a file or folder holds, by the end of its name; raises :class:`DataError`.

    ``task``: how events are binned.
    """
    read = _FILES.get(path.suffix.lower())
    if path.is_dir():
        return tables.read_folder(path, task)
    if read is None:
        raise DataError(
            f"{path} is of a kind that is not known here; expected a name that ends in "
            f"{', '.join(_FILES)}, or a folder of such files. Convert it."
        )
    return read(path, task)


def read_samples(path: Path) -> Samples:
    """Samples from an ``.npz`` as :mod:`snn_ssm.tasks.own.arrays` has it; no pickle.

    An array of another name is refused. The file's name is their source. Raises :class:`DataError`.
    """
    return to_samples(arrays.read_arrays(Path(path), TaskConfig()), (), Path(path).name)


def read_inputs(path: Path, task: TaskConfig) -> Recordings:
    """What a file or folder holds, without answers, of ``task.steps`` steps, as :func:`load`."""
    return _fitted(replace(read_recordings(path, task), answers=None, at_steps=None), task)


def _fitted(found: Recordings, task: TaskConfig) -> Recordings:
    if task.sample_rate and found.sample_rate and found.sample_rate != task.sample_rate:
        raise DataError(
            f"{found.where} is of {found.sample_rate:g} Hz, and task.sample_rate is "
            f"{task.sample_rate:g} Hz. Resample it, or correct task.sample_rate."
        )
    found = encoded(found, task)
    if task.name == "own" or found.lengths is not None:
        found = fitted(found, task)
    check_steps(found.inputs, task)
    return found


def load(path: Path, source: str, task: TaskConfig, *, each_step: bool = False) -> Samples:
    """The samples of a user's file or folder, of ``task.steps`` steps; raises :class:`DataError`.

    Shorter ones are filled up where the data say how long samples are, or the task is ``own``.
    ``each_step``: each step is answered, also where a table has the same answer at all of a sample.
    """
    found = answering(read_recordings(path, task), each_step)
    return to_samples(_fitted(found, task), task.classes, source)
