"""Dense projections and current input for NEST. Imports PyNN: load through `pynn_models.nest`."""

from __future__ import annotations

from typing import Any

import nest
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyNN.connectors import Connector
from pyNN.nest.simulator import state
from pyNN.nest.synapses import NativeSynapseType

from pynn_models.errors import SnnSsmError

FloatArray = NDArray[np.float64]


class ProjectionError(SnnSsmError):
    """Weights, delay or input of a projection do not fit it."""


class RawStaticSynapse(NativeSynapseType):
    """A synapse that delivers its weight, unscaled and of either sign, `delay` ms later.

    PyNN's own `StaticSynapse` multiplies by 1000 and refuses weights of mixed signs.
    Units: weight as the cell's input (dimensionless), delay ms (None: PyNN's min_delay).
    Raises: `ProjectionError`, when the projection is made, for a delay that the simulator was
    not set up for.
    """

    nest_name = "static_synapse"
    default_parameters = {"weight": 0.0, "delay": None}

    def get_schema(self) -> dict[str, type]:
        return {"weight": float, "delay": float}

    def _get_nest_synapse_model(self) -> str:
        # Before PyNN does, whose message for a long delay blames the loading of extensions.
        _check_delay(_delay_of(self), "RawStaticSynapse")
        return str(super()._get_nest_synapse_model())


class DenseConnector(Connector):
    """Connects every neuron i of `pre` to every neuron j of `post` with weight W[i, j]::

        input of j += sum_i W[i, j] s_i[k - delay]

    in one call of NEST, some 50 times faster than PyNN's ArrayConnector. With ``copies`` both
    populations are that many copies of a smaller one, one after another, and each copy of `pre`
    connects to its own copy of `post`, with the same weights.

    Shape: weights (pre, post), of one copy. Use it with `RawStaticSynapse(delay=...)`.
    Raises: `ProjectionError` for a wrong shape or a weight that is not finite.
    """

    parameter_names = ("weights", "copies")

    def __init__(self, weights: ArrayLike, copies: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.weights = _real_matrix("DenseConnector: weights", weights)
        self.copies = copies

    def connect(self, projection: Any) -> None:
        """Called by PyNN's Projection."""
        where = f"projection {projection.pre.label} -> {projection.post.label}"
        copies = self.copies
        expected = (projection.pre.size // copies, projection.post.size // copies)
        if self.weights.shape != expected:
            hint = " Transpose them." if self.weights.shape == expected[::-1] else ""
            raise ProjectionError(
                f"{where}: weights have shape {self.weights.shape}, expected (pre, post) = "
                f"{expected}.{hint or ' Give one row a presynaptic neuron.'}"
            )
        if not isinstance(projection.synapse_type, RawStaticSynapse):
            raise ProjectionError(
                f"{where}: the synapse type is {type(projection.synapse_type).__name__}, expected "
                "RawStaticSynapse, which leaves sign and scale of the weights alone. "
                "Pass synapse_type=RawStaticSynapse(delay=...)."
            )
        spec = {
            "synapse_model": projection.nest_synapse_model,
            "synapse_label": projection.nest_synapse_label,
            "weight": np.ascontiguousarray(self.weights.T),  # NEST: a row a target
            "delay": _delay_of(projection.synapse_type),
        }
        post_type = projection.post.celltype
        if not getattr(post_type, "standard_receptor_type", True):
            spec["receptor_type"] = post_type.get_receptor_type(projection.receptor_type)
        sources, targets = projection.pre.node_collection, projection.post.node_collection
        if copies == 1:  # also for views of populations, which NEST cannot slice again
            nest.Connect(sources, targets, "all_to_all", spec)
        else:
            rows, columns = expected
            for b in range(copies):
                pre = sources[b * rows : (b + 1) * rows]
                nest.Connect(pre, targets[b * columns : (b + 1) * columns], "all_to_all", spec)
        # What PyNN's own connectors leave behind for len(), get() and nest_connections.
        projection._sources.update(int(cell) for cell in projection.pre.all_cells)
        projection._connections = None
        state.stale_connection_cache = True


def projection_weights(projection: Any) -> FloatArray:
    """The weights that NEST holds, exactly, as W[i, j] of shape (pre, post); NaN: no synapse.

    PyNN's `projection.get("weight", "array")` multiplies by 0.001, whatever the synapse type.
    """
    weights = np.full((projection.pre.size, projection.post.size), np.nan)
    found = nest.GetConnections(
        source=projection.pre.node_collection,
        target=projection.post.node_collection,
        synapse_model=projection.nest_synapse_model,
        synapse_label=projection.nest_synapse_label,
    )
    if len(found) > 0:
        values = {name: np.atleast_1d(found.get(name)) for name in ("source", "target", "weight")}
        rows = projection.pre.id_to_index(values["source"])
        columns = projection.post.id_to_index(values["target"])
        weights[rows, columns] = values["weight"]
    return weights


def inject_currents(
    population: Any,
    currents: ArrayLike,
    weights: ArrayLike,
    first_step: int = 0,
    delay: float | None = None,
) -> Any:
    """Feed C input channels into a population as currents, one NEST device a channel::

        u_j[k] += sum_c W[c, j] I_c[k]      k = 0 .. L-1, acting in kernel step first_step + k

    where first_step is that of the population's cells. Values are exact: no scaling.

    Shapes: currents (C, L), weights (C, H). Units: delay ms (None: PyNN's min_delay).
    Returns: the NEST devices, a NodeCollection of C.
    Raises: `ProjectionError` for shapes that disagree, values that are not finite, and for a
    first_step below the delay, by which a device cannot be early enough.
    """
    where = f"current input -> {population.label}"
    values = _real_matrix(f"{where}: currents", currents)
    matrix = _real_matrix(f"{where}: weights", weights)
    n_channels, n_steps = values.shape
    if n_channels == 0:
        raise ProjectionError(
            f"{where}: currents have shape {values.shape}, expected (C, L) with C >= 1 channels. "
            "Leave the call out where there is no current."
        )
    if matrix.shape != (n_channels, population.size):
        raise ProjectionError(
            f"{where}: weights have shape {matrix.shape}, expected (channels, neurons) = "
            f"{(n_channels, population.size)}, since currents have shape {values.shape}. "
            "Give currents as (C, L) and weights as (C, H)."
        )
    delay_ms = float(state.min_delay) if delay is None else float(delay)
    delay_steps = _check_delay(delay_ms, where)
    if first_step < delay_steps:
        raise ProjectionError(
            f"{where}: first_step is {first_step}, expected at least the delay, {delay_steps} "
            "steps: an earlier current would have to start before the simulation. "
            "Give the cells and this call a later first_step."
        )
    # An amplitude of time t acts from the step stamped t + delay on; step s is stamped s + 1.
    times = (np.arange(n_steps + 1) + 1 + first_step - delay_steps) * float(state.dt)
    devices = nest.Create(
        "step_current_generator",
        n_channels,
        params=[
            {"amplitude_times": times, "amplitude_values": np.append(row, 0.0)} for row in values
        ],
    )
    spec = {"weight": np.ascontiguousarray(matrix.T), "delay": delay_ms}
    nest.Connect(devices, population.node_collection, "all_to_all", spec)
    return devices


def _delay_of(synapse: RawStaticSynapse) -> float:
    delay = synapse.native_parameters["delay"]
    if not delay.is_homogeneous:
        raise ProjectionError(
            "RawStaticSynapse: the delays differ between synapses, expected one delay for the "
            "projection. Make one projection a delay."
        )
    delay.shape = (1,)
    return float(delay.evaluate(simplify=True))


def _check_delay(delay: float, where: str) -> int:
    """The delay in steps, if the simulator can honour it."""
    dt, shortest, longest = float(state.dt), float(state.min_delay), float(state.max_delay)
    steps = round(delay / dt) if np.isfinite(delay) else 0
    tolerance = 1e-6 * dt
    on_grid = abs(steps * dt - delay) <= tolerance
    if not (on_grid and shortest - tolerance <= delay <= longest + tolerance):
        raise ProjectionError(
            f"{where}: the delay is {delay} ms, expected a multiple of the timestep {dt} ms from "
            f"min_delay {shortest} ms to max_delay {longest} ms. Choose such a delay, or pass "
            "min_delay and max_delay to sim.setup()."
        )
    return steps


def _real_matrix(what: str, values: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"dtype {given.dtype}")
        matrix = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ProjectionError(
            f"{what} are no real numbers ({error}), expected an array that converts to float64. "
            "Rows must have equal lengths."
        ) from error
    if matrix.ndim != 2:
        raise ProjectionError(
            f"{what} have shape {matrix.shape}, expected two dimensions. "
            "Add the missing axis with [None, :] or [:, None]."
        )
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad) > 0:
        i, j = (int(index) for index in bad[0])
        raise ProjectionError(
            f"{what}[{i}][{j}] is {matrix[i, j]}, expected a finite number; {len(bad)} of "
            f"{matrix.size} elements are refused. Look for NaN or overflow where they come from."
        )
    return matrix
