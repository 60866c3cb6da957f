"""Where a run stands, and the file it resumes from: ``state.safetensors``.

The file holds the model (``model.NAME``), the optimiser (``optimiser.PARAMETER.KEY``), the random
states (``random.PROCESS.DEVICE``) and, as metadata, the configuration and the progress.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pynn_models.errors import SnnSsmError
from snn_ssm import config as configuration
from snn_ssm.checkpoint import CONFIG_FILE
from snn_ssm.config import Config
from snn_ssm.files import FileError, read_sealed, seal_arrays, write_atomic
from snn_ssm.reading import parse_json

STATE_FILE = "state.safetensors"
_SHOWN = 60  # characters of a value


class TrainingError(SnnSsmError):
    """Training diverged, or a run cannot be started or resumed."""


@dataclass
class Progress:
    """Where a run stands: the epoch, the batches done in it, and its sums so far.

    ``epochs``: what each finished epoch reported; ``measured``: what the last evaluation found;
    ``init``: SHA-256 of the model that the run started from, None for a random start; ``data``:
    those of the samples, by split; ``best``: where the validation chooses the model, the best
    epoch so far, counted from 1, and its score; None before there is one.
    """

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0
    rates: list[float] = field(default_factory=list)
    seconds: float = 0.0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    init: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    best: tuple[int, float | None] | None = None


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that training draws from: ``cpu``, and ``cuda`` where used."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators to what :func:`random_state` returned on the same kind of device."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def save_state(
    directory: Path,
    config: Config,
    progress: Progress,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    random: list[dict[str, Tensor]],
) -> None:
    """Write all that a resumed run needs, in one file; ``random``: the states of every process."""
    arrays = {f"model.{k}": v.cpu().numpy() for k, v in network.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        arrays |= {f"optimiser.{i}.{k}": v.cpu().numpy() for k, v in state.items()}
    for process, states in enumerate(random):
        arrays |= {f"random.{process}.{k}": v.numpy() for k, v in states.items()}
    metadata = {
        "config": configuration.dumps(config),
        "progress": json.dumps(asdict(progress)),
        "random": json.dumps([sorted(states) for states in random]),
    }
    write_atomic(directory / STATE_FILE, seal_arrays(arrays, metadata))


def _differing(there: Config, here: Config) -> str:
    """The keys in which two configurations differ, with both values."""
    tables, others = configuration.to_dict(there), configuration.to_dict(here)
    return "; ".join(
        f"{table}.{key} is {str(value)[:_SHOWN]} there and {str(others[table][key])[:_SHOWN]} here"
        for table, keys in tables.items() for key, value in keys.items()
        if value != others[table][key]
    )


def load_state(
    directory: Path,
    config: Config,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    random: list[dict[str, Tensor]],
    data: dict[str, str],
) -> tuple[Progress, list[dict[str, Tensor]]]:
    """Set network and optimiser to a directory's state; its progress and random states.

    ``random``: the present random states, for which processes and devices must be those of the
    file; ``data``: the samples' digests, by split. Raises ``FileError`` where there is no state or
    an altered one, :class:`TrainingError` where it is of another configuration, of other samples,
    of other processes or of another version of the project.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        raise FileError(
            f"nothing to resume in {directory}: it has no {STATE_FILE}. Train without --resume."
        )
    arrays, metadata = read_sealed(
        path, "training state", "Restore the file, or train into a new directory."
    )
    trained = configuration.loads(metadata.get("config", ""), str(path))
    if trained != config:
        raise TrainingError(
            f"{directory} was trained with another configuration: {_differing(trained, config)}. "
            f"Resume with --config {directory / CONFIG_FILE}, or train into a new directory."
        )
    here = json.dumps([sorted(states) for states in random])
    if metadata.get("random") != here:
        raise TrainingError(
            f"{directory} was trained by processes with the devices {metadata.get('random')}, "
            f"this run has {here}, and each draws random numbers of its own. Resume on as many "
            "of the same kind, or train into a new directory."
        )
    try:
        progress = _progress(parse_json(metadata["progress"]))
        network.load_state_dict(_tensors(arrays, "model."))
        _load_optimiser(optimiser, _tensors(arrays, "optimiser."))
        stored = [_tensors(arrays, f"random.{process}.") for process in range(len(random))]
        for states, present in zip(stored, random, strict=True):
            _check_random(states, present)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"{path} was altered, or written by another version of snn-ssm "
            f"({type(error).__name__}: {error}). Resume with that version, or train into a new "
            "directory."
        ) from error
    other = [split for split, digest in data.items() if progress.data.get(split) != digest]
    if other:
        raise TrainingError(
            f"{directory} has other {' and '.join(other)} samples than those given (their SHA-256 "
            "differ). Resume with the same --data, or train into a new directory."
        )
    return progress, stored


def _progress(stored: Any) -> Progress:
    """A run's progress from JSON; raises ``TypeError`` or ``ValueError``."""
    progress = Progress(**stored)
    defaults = Progress()
    kinds = {"init": str, "best": list, "correct": int | float}
    for name, value in vars(progress).items():
        kind = kinds.get(name) or type(getattr(defaults, name))
        absent = name in ("init", "best") and value is None
        if not absent and (not isinstance(value, kind) or isinstance(value, bool)):
            raise TypeError(f"progress.{name} is {value!r}")
    if progress.best is not None:
        progress.best = _best(progress.best)
    if min(progress.epoch, progress.batch, progress.correct, progress.seen) < 0:
        raise ValueError("a number of epochs, batches or samples is negative")
    if not all(isinstance(rate, float) for rate in progress.rates):
        raise TypeError(f"progress.rates is {progress.rates!r}")
    return progress


def _best(stored: Sequence[Any]) -> tuple[int, float | None]:
    epoch, score = stored
    if not isinstance(epoch, int) or not (score is None or isinstance(score, float)):
        raise TypeError(f"progress.best is {stored!r}")
    return epoch, score


def _check_random(states: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> None:
    """Raise ``ValueError`` for states that generators of this kind cannot have."""
    for name, state in present.items():
        found = states[name]
        if found.shape != state.shape or found.dtype != state.dtype:
            raise ValueError(
                f"random state {name!r} of {found.dtype} and shape {tuple(found.shape)}, "
                f"not {state.dtype} and {tuple(state.shape)}"
            )


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for number, found in state.items():
        shape = parameters[number].shape if 0 <= number < len(parameters) else None
        expected = {"step": torch.Size(()), "exp_avg": shape, "exp_avg_sq": shape}
        for key in expected:
            if found[key].shape != expected[key] or not found[key].is_floating_point():
                raise ValueError(
                    f"optimiser.{number}.{key} is of {found[key].dtype} and shape "
                    f"{tuple(found[key].shape)}"
                )
        if found.keys() != expected.keys():
            raise ValueError(f"optimiser.{number} has {', '.join(sorted(found))}")
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _tensors(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names start with ``prefix``, without it."""
    return {
        name[len(prefix) :]: torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
