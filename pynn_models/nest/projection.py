"""Projections and current input for NEST. Imports PyNN: load through `pynn_models.nest`."""

from __future__ import annotations

from typing import Any

import nest
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyNN.connectors import Connector
from pyNN.nest.simulator import state

from pynn_models.nest.egru import Egru
from pynn_models.nest.neuron import StateSpace
from pynn_models.nest.synapses import (
    DifferenceSynapse,
    GradedSynapse,
    ProjectionError,
    RawStaticSynapse,
    RawSynapse,
    delay_steps,
)

FloatArray = NDArray[np.float64]


class _RawConnector(Connector):
    """What the connectors share: NEST's specification of the synapses, PyNN's bookkeeping."""

    def _specification(self, projection: Any) -> dict[str, Any]:
        synapse, post_type = projection.synapse_type, projection.post.celltype
        if not isinstance(synapse, RawSynapse):
            raise ProjectionError(
                f"{_where(projection)}: the synapse type is {type(synapse).__name__}, expected "
                "RawStaticSynapse or GradedSynapse, which leave sign and scale of the weights "
                "alone. Pass synapse_type=RawStaticSynapse(delay=...)."
            )
        spec: dict[str, Any] = {
            "synapse_model": projection.nest_synapse_model,
            "synapse_label": projection.nest_synapse_label,
        }
        if isinstance(synapse, GradedSynapse):
            _check_graded(projection)
        if not getattr(post_type, "standard_receptor_type", True):
            spec["receptor_type"] = post_type.get_receptor_type(projection.receptor_type)
        return spec

    def _note(self, projection: Any) -> None:
        """What PyNN's own connectors leave behind for len(), get() and nest_connections."""
        projection._sources.update(int(cell) for cell in projection.pre.all_cells)
        projection._connections = None
        state.stale_connection_cache = True


def _check_graded(projection: Any) -> None:
    """Raise `ProjectionError` unless the ends send and receive what the synapse carries."""
    where, post_type = _where(projection), projection.post.celltype
    for end, kind in (("pre", projection.pre.celltype), ("post", post_type)):
        if not isinstance(kind, StateSpace | Egru):
            raise ProjectionError(
                f"{where}: {end} is a population of {type(kind).__name__}, expected "
                "StateSpace or Egru cells, which alone send and receive a membrane y. Send "
                "spikes: synapse_type=RawStaticSynapse(delay=...)."
            )
    wanted = isinstance(projection.synapse_type, DifferenceSynapse)
    if wanted and isinstance(post_type, Egru):
        raise ProjectionError(
            f"{where}: post is a population of Egru cells, which add up no differences; expected "
            "StateSpace cells. Send counts: make the cells of pre with differences=0."
        )
    if projection.pre.celltype.sends_differences != wanted:
        sent = "membranes" if wanted else "differences"
        raise ProjectionError(
            f"{where}: the cells of pre send {sent}, and no "
            f"{'differences' if wanted else 'membranes'}; the synapse type is "
            f"{type(projection.synapse_type).__name__}. Use "
            f"{'GradedSynapse' if wanted else 'DifferenceSynapse'}, or make the cells with "
            f"differences={int(wanted)}."
        )


def _where(projection: Any) -> str:
    return f"projection {projection.pre.label} -> {projection.post.label}"


def _connect_pairs(
    projection: Any, spec: dict[str, Any], at: tuple[Any, Any], weights: Any, delays: Any,
    copies: int,
) -> None:
    """Synapses from i to j, one a pair, in each of so many copies of the populations."""
    i, j = at
    if len(i) == 0:
        return
    sources = np.array(projection.pre.node_collection.tolist()).reshape(copies, -1)
    targets = np.array(projection.post.node_collection.tolist()).reshape(copies, -1)
    count = copies * len(i)
    arrays = {k: np.full(count, v) for k, v in spec.items() if k != "synapse_model"}
    arrays |= {"weight": np.tile(weights, copies), "delay": np.tile(delays, copies)}
    pairs = sources[:, i].ravel(), targets[:, j].ravel()
    nest.Connect(*pairs, "one_to_one", {"synapse_model": spec["synapse_model"]} | arrays)


class SynapsesConnector(_RawConnector):
    """Connects neuron i of `pre` to neuron j of `post` for each of K pairs (i, j)::

        input of j += w s_i[t - delay]

    in one call of NEST. It is to PyNN's FromListConnector what :class:`DenseConnector` is to its
    ArrayConnector: the same synapses, with signed, unscaled weights. Several synapses of a pair
    are allowed. ``copies``: as there.

    Shapes: sources, targets, weights, delays (K,). Units: delays ms.
    Use it with `RawStaticSynapse()` or `DifferenceSynapse()`, whose own delay is not used.
    Raises: `ProjectionError` for shapes that differ, indices beyond the populations, a weight that
    is not finite, a delay that the simulator was not set up for, and another synapse type.
    """

    parameter_names = ("sources", "targets", "weights", "delays", "copies")

    def __init__(
        self, sources: ArrayLike, targets: ArrayLike, weights: ArrayLike, delays: ArrayLike,
        copies: int = 1, **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sources, self.targets = (np.asarray(v).astype(np.int64) for v in (sources, targets))
        self.weights = _real_matrix("SynapsesConnector: weights", np.atleast_1d(weights)[None])[0]
        self.delays = np.asarray(delays, np.float64)
        self.copies = copies
        shapes = [v.shape for v in (self.sources, self.targets, self.weights, self.delays)]
        if len(set(shapes)) > 1:
            raise ProjectionError(
                f"SynapsesConnector: sources, targets, weights and delays have shapes {shapes}, "
                "expected (K,) of each. Give one value a synapse."
            )

    def connect(self, projection: Any) -> None:
        """Called by PyNN's Projection."""
        where = _where(projection)
        if not isinstance(projection.synapse_type, (RawStaticSynapse, DifferenceSynapse)):
            raise ProjectionError(
                f"{where}: the synapse type is {type(projection.synapse_type).__name__}, expected "
                "RawStaticSynapse or DifferenceSynapse. Membranes are sent through a "
                "DenseConnector."
            )
        spec = self._specification(projection)
        ends = (("pre", projection.pre, self.sources), ("post", projection.post, self.targets))
        for end, population, at in ends:
            size = population.size // self.copies
            if len(at) > 0 and not 0 <= at.min() <= at.max() < size:
                raise ProjectionError(
                    f"{where}: a synapse of neuron {at.min() if at.min() < 0 else at.max()} of "
                    f"{end}, expected 0 to {size - 1}. Count from 0."
                )
        for delay in np.unique(self.delays):
            delay_steps(float(delay), where)
        pairs = self.sources, self.targets
        _connect_pairs(projection, spec, pairs, self.weights, self.delays, self.copies)
        self._note(projection)


class DenseConnector(_RawConnector):
    """Connects every neuron i of `pre` to every neuron j of `post` with weight W[i, j]::

        input of j += sum_i W[i, j] s_i[k - delay]      RawStaticSynapse: spikes
        input of j += sum_i W[i, j] y_i[k - delay]      GradedSynapse: membranes

    or with a `DifferenceSynapse`, whose sum is that of the first once it is added up,
    in one call of NEST, some 50 times faster than PyNN's ArrayConnector. With ``copies`` both
    populations are that many copies of a smaller one, one after another, and each copy of `pre`
    connects to its own copy of `post`, with the same weights. A graded weight of 0 makes no
    synapse, since each costs an event a step.

    Shape: weights (pre, post), of one copy.
    Use it with `RawStaticSynapse(delay=...)` or `GradedSynapse(delay=...)`.
    Raises: `ProjectionError` for a wrong shape, a weight that is not finite, another synapse
    type, and for a graded projection between cells that have no y.
    """

    parameter_names = ("weights", "copies")

    def __init__(self, weights: ArrayLike, copies: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.weights = _real_matrix("DenseConnector: weights", weights)
        self.copies = copies

    def connect(self, projection: Any) -> None:
        """Called by PyNN's Projection."""
        where = _where(projection)
        synapse = projection.synapse_type
        expected = (projection.pre.size // self.copies, projection.post.size // self.copies)
        if self.weights.shape != expected:
            hint = " Transpose them." if self.weights.shape == expected[::-1] else ""
            raise ProjectionError(
                f"{where}: weights have shape {self.weights.shape}, expected (pre, post) = "
                f"{expected}.{hint or ' Give one row a presynaptic neuron.'}"
            )
        spec = self._specification(projection)
        if isinstance(synapse, GradedSynapse):
            i, j = np.nonzero(self.weights)
            delays = np.full(len(i), synapse.delay_ms())
            _connect_pairs(projection, spec, (i, j), self.weights[i, j], delays, self.copies)
        else:
            self._connect_spikes(projection, spec | {"delay": synapse.delay_ms()})
        self._note(projection)

    def _connect_spikes(self, projection: Any, spec: dict[str, Any]) -> None:
        sources, targets = projection.pre.node_collection, projection.post.node_collection
        spec = spec | {"weight": np.ascontiguousarray(self.weights.T)}  # NEST: a row a target
        if self.copies == 1:  # also for views of populations, which NEST cannot slice again
            nest.Connect(sources, targets, "all_to_all", spec)
            return
        rows, columns = self.weights.shape
        for b in range(self.copies):
            pre = sources[b * rows : (b + 1) * rows]
            nest.Connect(pre, targets[b * columns : (b + 1) * columns], "all_to_all", spec)


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
    receptor: str = "excitatory",
) -> Any:
    """Feed C input channels into a population as currents, one NEST device a channel::

        u_j[k] += sum_c W[c, j] I_c[k]      k = 0 .. L-1, acting in kernel step first_step + k

    where first_step is that of the population's cells. Values are exact: no scaling. ``receptor``:
    of `Egru` cells any of theirs.

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
    steps = delay_steps(delay_ms, where)
    if first_step < steps:
        raise ProjectionError(
            f"{where}: first_step is {first_step}, expected at least the delay, {steps} "
            "steps: an earlier current would have to start before the simulation. "
            "Give the cells and this call a later first_step."
        )
    # An amplitude of time t acts from the step stamped t + delay on; step s is stamped s + 1.
    times = (np.arange(n_steps + 1) + 1 + first_step - steps) * float(state.dt)
    devices = nest.Create(
        "step_current_generator",
        n_channels,
        params=[
            {"amplitude_times": times, "amplitude_values": np.append(row, 0.0)} for row in values
        ],
    )
    spec = {"weight": np.ascontiguousarray(matrix.T), "delay": delay_ms}
    if not getattr(population.celltype, "standard_receptor_type", True):
        spec["receptor_type"] = population.celltype.get_receptor_type(receptor)
    nest.Connect(devices, population.node_collection, "all_to_all", spec)
    return devices


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
