"""A network as a PyNN script to read: NET.py, and NET.npz with its numbers; no import of ours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.backend import BackendError, first_steps, later, no_currents
from export.pynn.plain import PLAIN
from export.pynn.standard import RECEPTORS, Standard, connection_rows
from pynn_models.cells import propagator
from snn_ssm.files import write_atomic

_MODELS = {"stock": "IF_curr_exp", "lif": "IF_curr_delta"}
_NEURON = "IF_curr_exp"  # for both: PyNN's NEURON has no other


class ScriptError(BackendError):
    """A network that PyNN's own cells cannot be."""


def write_script(network: Network, path: Path) -> None:
    """Write a PyNN script ``path`` (NET.py), and NET.npz beside it, which rebuild the network.

    The script is one and the same for every network; the numbers are what PyNN gets, for each
    simulator. It needs numpy and PyNN. Spikes are recorded, and scores computed from them.
    Raises :class:`ScriptError` for native cells and for an input of currents, what the simulators'
    backends raise for cells that they cannot have, and ``FileError``.
    """
    write_files(path, script_files(network, path))


def script_files(network: Network, path: Path) -> dict[str, bytes]:
    """The files of :func:`write_script` by their names, unwritten."""
    if path.suffix != ".py":
        raise ScriptError(f"the script is {path}; expected a name that ends in .py.")
    if network.cells not in _MODELS:
        raise ScriptError(
            f"a network of {network.cells} cells, which PyNN lacks; expected stock or lif cells, "
            "of which alone a plain script can be. Train with model.cells = \"stock\" or \"lif\", "
            "or "
            + (
                "write a job (snn-ssm job), which brings the cells along."
                if network.cells == "native"
                else "use the backend software or nest."
            )
        )
    if network.source.kind.currents:
        raise ScriptError(str(no_currents(network.source)))
    arrays: dict[str, Any] = dict(_description(network))
    for name, kinds in PLAIN.items():
        backend = next(make() for make in kinds if make.cells == network.cells)
        arrays |= {f"{name}/{key}": value for key, value in _simulator(network, backend)}
        arrays[f"{name}/model"] = _NEURON if name == "neuron" else _MODELS[network.cells]
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    text = resources.files(__package__).joinpath("template", "network.py").read_text("utf-8")
    return {
        path.name: text.replace("SCRIPT SIM", f"{path.name} SIM", 1).encode(),
        path.with_suffix(".npz").name: data.getvalue(),
    }


def write_files(path: Path, files: Mapping[str, bytes]) -> None:
    """Write what :func:`script_files` returned beside ``path``, the script last."""
    for name in sorted(files):  # .npz before .py
        write_atomic(path.with_name(name), files[name])


def _description(network: Network) -> Iterator[tuple[str, Any]]:
    """What all simulators share: the input, what is connected, and the readout."""
    source, readout = network.source, network.population(network.readout.population)
    yield from {
        "timestep": network.timestep, "steps": network.steps, "cell": network.cells,
        "input": source.name, "encoding": source.encoding, "channels": source.channels,
        "bits": source.bits, "limit": source.kind.values(source).limit,
        "input_size": source.size, "layers": [p.name for p in network.layers],
    }.items()
    if source.kind.fractions:
        yield "fraction", np.array(source.fraction)
    within = [p for p in network.projections if p.target != readout.name]
    yield "projections", np.array([(p.source, p.target) for p in within])
    cell = readout.state_space
    re, im = propagator(cell.tau, cell.omega, network.timestep)
    yield "readout/decay", re if im is None else re + 1j * im
    yield "readout/c", cell.c_re if cell.c_im is None else cell.c_re + 1j * cell.c_im
    yield "readout/d", cell.d
    yield "readout/bias", cell.bias
    terms = network.readout.kind.terms(np.arange(1, network.steps + 1))
    yield "readout/terms", np.asarray(terms, np.float64)
    yield "readout/each_step", network.readout.each_step
    parts = [
        (p.source, lag, weights)
        for p in network.incoming(readout.name)
        for lag, weights in p.by_lag(network.lead(p), p.weights)
    ]
    yield "readout/from", np.array([name for name, _, _ in parts])
    for n, (_, lag, weights) in enumerate(parts):
        yield f"readout/lag{n}", lag
        yield f"readout/weights{n}", weights


def _simulator(network: Network, backend: Standard) -> Iterator[tuple[str, Any]]:
    """What PyNN gets on one simulator."""
    first = first_steps(network, backend.lag, backend.first_input(network))
    half = 0.5 if backend.substeps == 2 else 0.0  # of a step: what a spike's way is shorter by
    yield "substeps", backend.substeps
    yield "stamp", backend.stamp
    yield "first_input", first[network.source.name]
    longest = 1.0
    layers = {p.name: p for p in network.layers}
    within = [p for p in network.projections if p.target in layers]
    for n, projection in enumerate(within):
        more = later(network, projection, first, backend.lag)
        steps = np.asarray(projection.delay, np.float64) + more - half
        longest = max(longest, float(steps.max()))
        scale = backend.scale(layers[projection.target], network.timestep)
        rows = connection_rows(projection, scale, steps * network.timestep)
        yield from _signed(f"projection{n}", rows)
    yield "longest_delay", longest * network.timestep
    for population in network.layers:
        for key, value in _cells(network, backend, population, first[population.name], half):
            yield f"{population.name}/{key}", value


def _cells(
    network: Network, backend: Standard, population: Population, first_step: int, half: float
) -> Iterator[tuple[str, Any]]:
    """A layer's cells, and what is theirs alone."""
    yield "first_step", first_step
    for name, value in backend.parameters(population, network.timestep).items():
        yield f"cell/{name}", value
    yield "cell/v", backend.initial(network, population)
    held = backend.held(network, population, first_step)
    if held is not None:
        yield from ((f"held/{name}", value) for name, value in held._asdict().items())
    if population.cell.bias.any():
        yield "bias/steps", first_step - backend.lag - 1 + np.arange(network.steps)
        weights = population.cell.bias * backend.scale(population, network.timestep)
        count = len(weights)
        delay = np.full(count, (1.0 - half) * network.timestep)
        rows = np.column_stack([np.zeros(count), np.arange(count), weights, delay])
        yield from _signed("bias", rows)


def _signed(key: str, rows: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    for receptor, chosen in zip(RECEPTORS, (rows[:, 2] > 0, rows[:, 2] < 0), strict=True):
        if chosen.any():
            yield f"{key}/{receptor}", rows[chosen]
