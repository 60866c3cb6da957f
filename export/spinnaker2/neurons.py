"""The neurons of SpiNNaker 2 by the family of a network's cells: parameters, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Population
from pynn_models.cells import Reset, StateSpaceCell, propagator
from pynn_models.registry import Registry
from pynn_models.spinnaker2 import (
    ActingParameters,
    Cell,
    CurrentParameters,
    Float32Array,
    GatedFloats,
    LeakyParameters,
    ModeParameters,
    run_current,
    run_leaky,
)

Parameters = Cell | CurrentParameters | LeakyParameters | GatedFloats
Ran = tuple[NDArray[np.bool_], Float32Array]


def _not_of_ours(*arguments: Any) -> Ran:
    raise NotImplementedError("our own core's neurons are run by export.spinnaker2.own")


@dataclass(frozen=True)
class Neurons:
    """One family: ``name`` as a network's ``cells`` has it.

    ``parameters(population, scale, timestep)``: in float32, in units of the scale (H,).
    ``model``: py-spinnaker2's neuron, None where it has none and our own core does
    (:mod:`.own`); ``settings(parameters)``: its parameters by its names, without ``reset``, which
    is ``reset``; ``run(parameters, excitatory, inhibitory, membrane)``: spikes and membranes of
    (B, L, H).
    """

    name: str
    parameters: Callable[[Population, FloatArray, float], Any]
    model: str | None = None
    settings: Callable[[Any], Mapping[str, NDArray[Any]]] = lambda _: {}
    run: Callable[[Any, Float32Array, Float32Array, bool], Ran] = _not_of_ours


def cell_parameters(
    cell: StateSpaceCell, timestep: float, scale: FloatArray, bias: FloatArray
) -> Cell:
    """A cell's constants in float32, its input in units of a scale (H,), its bias given."""
    a_re, a_im = propagator(cell.tau, cell.omega, timestep)
    none = np.empty((cell.n_neurons, 0))
    modes = ModeParameters(
        a_re=a_re,
        a_im=none if cell.omega is None else a_im,
        c_re=cell.c_re,
        c_im=none if cell.c_im is None else cell.c_im,
        d=cell.d,
        bias=bias / scale,
        theta=cell.theta / scale,
    )
    if cell.reset is None and cell.history is None:
        return modes
    reset = cell.reset or Reset(r_re=np.zeros(a_re.shape))
    r_re, r_im = (np.zeros(a_re.shape) if r is None else r for r in (reset.r_re, reset.r_im))
    return ActingParameters(
        modes=modes,
        r_re=r_re / scale[:, None],
        r_im=none if cell.omega is None else r_im / scale[:, None],
        history=(none if cell.history is None else cell.history.a) / scale[:, None],
        hard=cell.reset is not None and cell.reset.is_hard,
        refractory=reset.refractory,
    )


def _modes(population: Population, scale: FloatArray, timestep: float) -> Cell:
    cell = population.state_space
    return cell_parameters(cell, timestep, scale, cell.bias)


def _currents(population: Population, scale: FloatArray, timestep: float) -> CurrentParameters:
    cell = population.state_space
    decay, _ = propagator(cell.tau, None, timestep)
    return CurrentParameters(decay[:, 0], np.zeros(cell.n_neurons), cell.theta / scale)


def _leaky(population: Population, scale: FloatArray, timestep: float) -> LeakyParameters:
    cell = population.kind.arrays(population.cell)
    decay, _ = propagator(cell["tau"], None, timestep)
    return LeakyParameters(decay, cell["bias"] / scale, cell["theta"] / scale)


NEURONS: Registry[Neurons] = Registry(
    "neuron of SpiNNaker 2",
    Neurons("native", _modes),
    Neurons(
        "stock",
        _currents,
        "lif_curr_exp_no_delay",
        lambda p: {
            "threshold": p.threshold, "alpha_decay": np.zeros_like(p.decay), "exc_decay": p.decay,
            "inh_decay": p.decay, "i_offset": p.offset,
        },
        lambda p, e, i, m: run_current(p, e, i, membrane=m),
    ),
    Neurons(
        "lif",
        _leaky,
        "lif_no_delay",
        lambda p: {"threshold": p.threshold, "alpha_decay": p.decay, "i_offset": p.offset},
        lambda p, e, i, m: run_leaky(p, e - i, membrane=m),
    ),
)
