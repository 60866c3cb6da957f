"""Runs a Network in SpiNNaker's integers, a batch of samples at a time::

    exc, inh = min(65535, sum_i s_i stored_ij)         ring buffers, one a sign
    native:  U = (exc << r_exc) - (inh << r_inh), then pynn_models.spinnaker.run_native
    stock:   pynn_models.spinnaker.run_stock

Every population runs over the whole sequence before the next. On the board, population l does step
k of a sample in tick k + latency; spikes of step k arrive there in that tick, and until step 0
nothing does, so that latencies and delays shift ticks and nothing else: here they are taken off.

A plan for all inputs (:func:`plan_network`) cannot overflow. One for the spikes of calibration
samples (:func:`calibrate`) leaves weights more bits, and its ring buffers may saturate for others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.fixed_point.plan import Plan
from export.fixed_point.registry import ARITHMETIC
from export.fixed_point.support import check_supported
from export.fixed_point.weights import observed, stored_load, worst_case
from export.samples.inputs import as_samples, encode
from export.samples.recording import Recording, concatenate
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import (
    Arrival,
    ring_buffer,
)
from pynn_models.spinnaker.synapses import RING_MAX, UInt16Array

NAME = "spinnaker-software"
_BATCH = 25  # samples at once, a thread each batch

Spikes = Mapping[str, NDArray[np.uint8]]  # what each source emits, (B, L, size)


class SpinnakerInputError(SnnSsmError):
    """An input that a SpiNNaker board cannot be given."""


class PlanOverflowError(SnnSsmError):
    """A plan with which a ring buffer can saturate."""


class SaturationWarning(UserWarning):
    """Ring buffers that were full in a run."""


@dataclass(frozen=True, eq=False)
class SpinnakerPlan:
    """The plans of a network's populations, by name; ``calibrated``: for samples, not all inputs.

    A stock network's accumulators have none: its logits come from spike counts, on the host.
    """

    populations: Mapping[str, Plan]
    calibrated: bool = False


def _check(network: Network) -> None:
    check_supported(network)
    source = network.source
    if source.encoding != "current":
        return
    remedy = (
        "Export the network with --input bits, which is exact."
        if source.bits
        else "Train with integer inputs (model.input_bits) and export with --input bits."
    )
    raise SpinnakerInputError(
        f"input {source.name!r}: {source.channels} currents of {network.steps} steps; expected "
        "bits. A current a neuron is an array in a core's 64 KiB of memory, which holds 6,000 "
        f"values at most. {remedy}"
    )


def plan_network(network: Network) -> SpinnakerPlan:
    """The plan with which nothing overflows, whatever the input.

    Raises :class:`SpinnakerInputError`, ``SpinnakerUnsupportedError``, and the errors of the
    populations' plans.
    """
    _check(network)
    arithmetic = ARITHMETIC[network.cells]
    plans = {p.name: arithmetic.plan(network, p, worst_case) for p in arithmetic.mapped(network)}
    return SpinnakerPlan(plans)


def calibrate(network: Network, samples: NDArray[Any]) -> SpinnakerPlan:
    """The plan with which nothing overflows on these samples (B, C, L).

    Layer by layer, from the spikes that the layers before it emit under their own plans, so that
    the ring buffers' loads are exact. States do not overflow for any input.
    Raises as :func:`plan_network`, and ``InputError``.
    """
    _check(network)
    emitted: dict[str, NDArray[np.uint8]] = {network.source.name: _bits(network, samples)}
    plans: dict[str, Plan] = {}
    arithmetic = ARITHMETIC[network.cells]
    for population in arithmetic.mapped(network):
        sources = [emitted[p.source] for p in network.incoming(population.name)]
        plans[population.name] = arithmetic.plan(network, population, observed(sources))
        parts = _batches(emitted, len(samples))
        with _threads() as threads:
            done = threads.map(
                lambda part, p=population: _step(network, p, plans[p.name], part, False), parts
            )
            fired = np.concatenate([spikes for spikes, _, _ in done])
        emitted[population.name] = fired.view(np.uint8)
    return SpinnakerPlan(plans, calibrated=True)


def make_plan(network: Network, calibration: NDArray[Any] | None = None) -> SpinnakerPlan:
    """:func:`calibrate` with the samples ``calibration`` (B, C, L), :func:`plan_network` without.

    Raises ``SpinnakerUnsupportedError`` for a network that the board's cells cannot be.
    """
    return plan_network(network) if calibration is None else calibrate(network, calibration)


def check_plan(network: Network, plan: SpinnakerPlan) -> None:
    """Raise :class:`PlanOverflowError` unless every ring buffer holds all its sources at once."""
    for name, found in plan.populations.items():
        load = stored_load(network, network.population(name), found)  # (2, H)
        if load.max(initial=0) > RING_MAX:
            receptor, h = (int(i) for i in np.unravel_index(load.argmax(), load.shape))
            raise PlanOverflowError(
                f"population {name!r}, neuron {h}: when all sources spike at once, the "
                f"{('excitatory', 'inhibitory')[receptor]} ring buffer receives "
                f"{int(load[receptor, h])}; expected at most {RING_MAX}, it holds no more: "
                f"{load[receptor, h] / RING_MAX:.3g} times too much. Use the plan for all inputs "
                "(no calibration), or allow overflow."
            )


def run(
    network: Network,
    samples: NDArray[Any],
    *,
    plan: SpinnakerPlan | None = None,
    membranes: Collection[str] = (),
    allow_overflow: bool = False,
) -> Recording:
    """Spikes of every layer, (B, L, H), and the named native populations' membranes.

    ``samples`` (B, channels, steps); each starts from rest. ``plan``: :func:`plan_network` if not
    given; one that can overflow needs ``allow_overflow``: its ring buffers saturate, as on the
    board, and a :class:`SaturationWarning` names the populations whose were full. Membranes of
    stock cells are left out: the board records them before the update, after a reset.
    Raises ``InputError``, ``NetworkError`` for an unknown name, and as :func:`plan_network`.
    """
    for name in membranes:
        network.population(name)
    samples = as_samples(network, samples)
    plan = plan_network(network) if plan is None else plan
    if not allow_overflow:
        check_plan(network, plan)
    parts = _batches({network.source.name: _bits(network, samples)}, len(samples))
    with _threads() as threads:
        done = list(threads.map(lambda part: _run_part(network, plan, part, membranes), parts))
    full = [name for name in plan.populations if any(name in names for _, names in done)]
    if full and plan.calibrated:
        warnings.warn(
            f"ring buffers of {', '.join(full)} were full: inputs beyond those of the calibration.",
            SaturationWarning,
            stacklevel=2,
        )
    return concatenate([recording for recording, _ in done])


def runner(
    network: Network, calibration: NDArray[Any] | None = None
) -> Callable[[NDArray[Any], Collection[str]], Recording]:
    """:func:`run` as a function of samples and membranes, with one plan for all calls.

    ``calibration`` (B, C, L): samples to plan for, whose plan may overflow on others. Raises what
    :func:`make_plan` raises.
    """
    plan = make_plan(network, calibration)

    def call(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        return run(
            network, samples, plan=plan, membranes=membranes, allow_overflow=plan.calibrated
        )

    return call


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS)


def _batches(emitted: Spikes, samples: int) -> list[Spikes]:
    starts = range(0, samples, _BATCH)
    return [{name: s[i : i + _BATCH] for name, s in emitted.items()} for i in starts]


def _bits(network: Network, samples: NDArray[Any]) -> NDArray[np.uint8]:
    _check(network)
    return np.asarray(encode(network, samples), np.uint8)


def _run_part(
    network: Network, plan: SpinnakerPlan, inputs: Spikes, membranes: Collection[str]
) -> tuple[Recording, set[str]]:
    emitted = dict(inputs)
    spikes: dict[str, NDArray[np.bool_]] = {}
    traces: dict[str, FloatArray] = {}
    full = set()
    for name, found in plan.populations.items():
        wanted, silent = name in membranes, name == network.readout.population
        if silent and not wanted:
            continue
        fired, trace, reached = _step(network, network.population(name), found, emitted, wanted)
        if reached:
            full.add(name)
        if not silent:
            spikes[name] = fired
            emitted[name] = fired.view(np.uint8)
        if trace is not None:
            traces[name] = trace
    return Recording(NAME, network.timestep, spikes, traces), full


def _buffers(
    network: Network, population: Population, plan: Plan, emitted: Spikes
) -> tuple[UInt16Array, UInt16Array]:
    """What the two ring buffers of a population hold at each step, (B, L, H)."""
    arrivals: tuple[list[Arrival], list[Arrival]] = ([], [])
    for projection in network.incoming(population.name):
        for found, stored in zip(arrivals, plan.stored(projection), strict=True):
            found.append(Arrival(emitted[projection.source], stored))
    if arrivals[0]:
        return ring_buffer(arrivals[0]), ring_buffer(arrivals[1])
    shape = (*emitted[network.source.name].shape[:2], population.size)
    return np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)


def _step(
    network: Network, population: Population, plan: Plan, emitted: Spikes, membrane: bool
) -> tuple[NDArray[np.bool_], FloatArray | None, bool]:
    """Spikes and membrane of one population over the sequence; whether a ring buffer was full."""
    exc, inh = _buffers(network, population, plan, emitted)
    full = max(int(exc.max()), int(inh.max())) == RING_MAX
    return *plan.step(network, exc, inh, membrane), full
