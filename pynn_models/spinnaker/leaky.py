"""What sPyNNaker's two stock neurons have in common: a leaky membrane in SpiNNaker's integers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker.fixed_point import (
    FixedPointError,
    Int64Array,
    ceil_s1615,
    expk,
    kdiv,
    s1615_array,
    to_s1615,
)
from pynn_models.spinnaker.synapses import Int32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyConstants:
    """What the board computes from a cell's parameters, as integers, (H,) each::

        r    = K(tau_m) / K(cm)                         s16.15
        tc   = expk(-(K(dt) / K(tau_m)))                s16.15
        tref = ceil(K(tau_refrac) / K(dt))              steps

    and v_rest, v_reset, v_thresh, i_offset in s16.15.
    """

    r: Int64Array
    tc: Int64Array
    tref: Int64Array
    v_rest: Int64Array
    v_reset: Int64Array
    v_thresh: Int64Array
    i_offset: Int64Array

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return int(self.r.size)


class StockRun(NamedTuple):
    """Spikes (B, L, H), and the membrane (B, L, H) in s16.15 *before* each update, or None."""

    spikes: NDArray[np.bool_]
    membrane: Int32Array | None


def parameters_in_s1615(cell: Any) -> dict[str, Int64Array]:
    """The fields of a cell's dataclass, scalars or (H,) arrays, as (H,) integers in s16.15.

    Raises `FixedPointError`, naming the parameter and the neuron.
    """
    names = [field.name for field in fields(cell)]
    try:
        given = np.broadcast_arrays(*(np.atleast_1d(getattr(cell, name)) for name in names))
    except ValueError as error:
        shapes = {name: np.shape(getattr(cell, name)) for name in names}
        raise FixedPointError(
            f"{type(cell).__name__}: parameters of shapes {shapes}, expected scalars or one length "
            "(H,)."
        ) from error
    return {name: s1615_array(v, name) for name, v in zip(names, given, strict=True)}


def leaky_constants(k: dict[str, Int64Array], timestep: float) -> dict[str, Int64Array]:
    """The fields of `LeakyConstants`, of parameters in s16.15; ``timestep`` in ms.

    Raises `FixedPointError`, naming the parameter and the neuron.
    """

    def each(name: str, numerator: Int64Array, denominator: Int64Array) -> list[int]:
        pairs = zip(numerator.tolist(), denominator.tolist(), strict=True)
        return [kdiv(a, b, f"{name}, neuron {h}") for h, (a, b) in enumerate(pairs)]

    steps = np.full_like(k["tau_m"], to_s1615(timestep, "timestep"))
    return {
        "r": np.array(each("tau_m / cm", k["tau_m"], k["cm"])),
        "tc": np.array([expk(-q) for q in each("timestep / tau_m", steps, k["tau_m"])]),
        "tref": np.array(
            [ceil_s1615(q) for q in each("tau_refrac / timestep", k["tau_refrac"], steps)]
        ),
        **{name: k[name] for name in ("v_rest", "v_reset", "v_thresh", "i_offset")},
    }
