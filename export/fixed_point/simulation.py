"""Runs a Network in SpiNNaker's integers, a batch of samples at a time::

    exc, inh = min(65535, sum_i s_i stored_ij)         ring buffers, one a sign and receptor
    native:  U = (exc << r_exc) - (inh << r_inh), then pynn_models.spinnaker.run_native
    gated:   U = pynn_models.spinnaker.gated.gated_input, then the same
    stock:   pynn_models.spinnaker.run_stock

Every population runs over the whole sequence before the next, those of a loop together, a few steps
at a time (:mod:`.loops`). On the board, population l does step k of a sample in tick k + latency;
spikes of lag 0 arrive there in that tick, and until step 0 nothing does, so that latencies shift
ticks and nothing else: here they are taken off.

A plan for all inputs (:func:`plan_network`) cannot overflow. One for the spikes of calibration
samples (:func:`calibrate`) leaves weights more bits, and its ring buffers may saturate for others.
A population that sends several spikes in a step runs as several of one each, whose spikes are added
up again (:mod:`export.description.multiplicity`); plans are of those.
Products of gated spiking units have no bound for all inputs: they saturate under either plan.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from export.description.multiplicity import in_units
from export.description.network import FloatArray, Network, Population
from export.fixed_point.loops import run_loop
from export.fixed_point.plan import Arithmetic, Expected, Plan, Stepped
from export.fixed_point.reach import planned_reach
from export.fixed_point.registry import arithmetic_of
from export.fixed_point.stepping import Sent, step
from export.fixed_point.weights import Load, observed, stored_load
from export.samples.inputs import as_samples, encode
from export.samples.multiplicity import counted
from export.samples.recording import Recording, concatenate
from export.software.order import components, is_loop
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker.synapses import RING_MAX

NAME = "spinnaker-software"


class SpinnakerInputError(SnnSsmError):
    """An input that a SpiNNaker board cannot be given."""


class SpinnakerLoopError(SnnSsmError):
    """A network with lags that is to be planned for samples."""


class PlanOverflowError(SnnSsmError):
    """A plan with which a ring buffer can saturate."""


class SaturationWarning(UserWarning):
    """Ring buffers that were full in a run, or products that were cut to 32 bits."""


@dataclass(frozen=True, eq=False)
class SpinnakerPlan:
    """The plans of a network's populations, by name; ``calibrated``: for samples, not all inputs.

    A stock network's accumulators have none: its logits come from spike counts, on the host.
    """

    populations: Mapping[str, Plan]
    calibrated: bool = False


def _check(network: Network) -> Arithmetic:
    found = arithmetic_of(network)
    source = network.source
    if source.encoding != "current":
        return found
    remedy = (
        "Export the network with --input bits, which is exact."
        if source.bits
        else "Export it with --input bits and --data, the training samples: quantised."
    )
    raise SpinnakerInputError(
        f"input {source.name!r}: {source.channels} currents of {network.steps} steps; expected "
        "bits. A current a neuron is an array in a core's 64 KiB of memory, which holds 6,000 "
        f"values at most. {remedy}"
    )


def plan_network(network: Network) -> SpinnakerPlan:
    """The plan with which nothing overflows, whatever the input; products of sums saturate.

    Raises :class:`SpinnakerInputError`, ``SpinnakerUnsupportedError``, and the errors of the
    populations' plans.
    """
    network = in_units(network)
    planner = _Planner(network, None)
    for population in planner.arithmetic.mapped(network):
        planner.add(population, None)
    return SpinnakerPlan(planner.plans)


class _Planner:
    """Plans population by population, in the order in which they depend on each other."""

    def __init__(self, network: Network, samples: NDArray[Any] | None) -> None:
        self.network, self.arithmetic = network, _check(network)
        self.plans: dict[str, Plan] = {}
        self._reach = planned_reach(network, samples) if self.arithmetic.gated else {}
        self._sent: dict[str, int] = {}

    def add(self, population: Population, load: Load | None) -> Plan:
        """Its plan, which it keeps."""
        expected = Expected(load, self._reach, self._sent)
        plan = self.arithmetic.plan(self.network, population, expected)
        self.plans[population.name] = plan
        self._sent[population.name] = plan.sent
        return plan


def calibrate(network: Network, samples: NDArray[Any]) -> SpinnakerPlan:
    """The plan with which nothing overflows on these samples (B, C, L).

    Layer by layer, from the spikes that the layers before it emit under their own plans, so that
    the ring buffers' loads are exact. States do not overflow for any input.
    Raises as :func:`plan_network`, ``InputError``, and :class:`SpinnakerLoopError` for a network
    whose spikes of different steps meet in a ring buffer.
    """
    if network.max_lag:
        raise SpinnakerLoopError(
            f"calibration counts what arrives in a step, and here it was sent up to "
            f"{network.max_lag} steps before; expected a network without lags. Leave calibration "
            "out: the plan for all inputs holds for any delays."
        )
    network = in_units(network)
    planner = _Planner(network, samples)
    sent = Sent({network.source.name: _bits(network, samples)})
    for population in planner.arithmetic.mapped(network):
        plan = planner.add(population, observed(sent.spikes))
        parts = sent.batches(len(samples))
        with _threads() as threads:
            done = list(
                threads.map(
                    lambda part, p=population, q=plan: step(network, p, q, part, False), parts
                )
            )
        sent.add(population, [found for found, _ in done])
    return SpinnakerPlan(planner.plans, calibrated=True)


def make_plan(network: Network, calibration: NDArray[Any] | None = None) -> SpinnakerPlan:
    """:func:`calibrate` with the samples ``calibration`` (B, C, L), :func:`plan_network` without.

    Raises ``SpinnakerUnsupportedError`` for a network that the board's cells cannot be.
    """
    return plan_network(network) if calibration is None else calibrate(network, calibration)


def check_plan(network: Network, plan: SpinnakerPlan) -> None:
    """Raise :class:`PlanOverflowError` unless every ring buffer holds all its sources at once."""
    network = in_units(network)
    for name, found in plan.populations.items():
        for at in found.names:
            load = stored_load(
                network, network.population(name), found.at(at), receptor=at,
                constant=found.always(at),
            )  # fmt: skip
            if load.max(initial=0) > RING_MAX:
                receptor, h = (int(i) for i in np.unravel_index(load.argmax(), load.shape))
                raise PlanOverflowError(
                    f"population {name!r}, neuron {h}: when all sources spike at once, the "
                    f"{('excitatory', 'inhibitory')[receptor]} ring buffer of its {at} receives "
                    f"{int(load[receptor, h])}; expected at most {RING_MAX}, it holds no more: "
                    f"{load[receptor, h] / RING_MAX:.3g} times too much. Use the plan for all "
                    "inputs (no calibration), or allow overflow."
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
    units = in_units(network)
    parts = Sent({network.source.name: _bits(units, samples)}).batches(len(samples))
    with _threads() as threads:
        done = list(threads.map(lambda part: _run_part(units, plan, part, membranes), parts))
    _warn(plan, [found for _, found in done])
    return counted(network, concatenate([recording for recording, _ in done]))


def _warn(plan: SpinnakerPlan, parts: list[_Faults]) -> None:
    full = [name for name in plan.populations if any(name in p.full for p in parts)]
    if full and plan.calibrated:
        warnings.warn(
            f"ring buffers of {', '.join(full)} were full: inputs beyond those of the calibration.",
            SaturationWarning,
            stacklevel=3,
        )
    limited = {
        name: sum(p.limited.get(name, 0) for p in parts) for name in plan.populations
    }
    if any(limited.values()):
        counts = ", ".join(f"{name} ({n} times)" for name, n in limited.items() if n)
        warnings.warn(
            f"products or sums of {counts} were cut to 32 bits: inputs beyond those that the plan "
            "is for. Calibrate with more samples.",
            SaturationWarning,
            stacklevel=3,
        )


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


def _bits(network: Network, samples: NDArray[Any]) -> NDArray[np.uint8]:
    _check(network)
    return np.asarray(encode(network, samples), np.uint8)


@dataclass
class _Faults:
    """``full``: the populations whose ring buffers were; ``limited``: cut sums, by population."""

    full: set[str] = field(default_factory=set)
    limited: dict[str, int] = field(default_factory=dict)


def _needed(network: Network, membranes: Collection[str]) -> set[str]:
    """What spikes or was asked for, and all that these read."""
    needed = {p.name for p in network.layers} | set(membranes)
    for population in reversed(network.populations):
        if population.name in needed:
            needed |= {p.source for p in network.incoming(population.name)}
    return needed


def _run_part(
    network: Network, plan: SpinnakerPlan, part: Sent, membranes: Collection[str]
) -> tuple[Recording, _Faults]:
    spikes: dict[str, NDArray[np.bool_]] = {}
    traces: dict[str, FloatArray] = {}
    faults, needed = _Faults(), _needed(network, membranes)
    for members in components(network):
        if not any(p.name in needed and p.name in plan.populations for p in members):
            continue
        for name, (done, full) in _run_members(network, members, plan, part, membranes).items():
            if full:
                faults.full.add(name)
            faults.limited[name] = done.limited
            part.add(network.population(name), [done])
            if network.population(name).spikes:
                spikes[name] = done.spikes
            if done.membrane is not None:
                traces[name] = done.membrane
    ordered = {p.name: spikes[p.name] for p in network.layers}
    return Recording(NAME, network.timestep, ordered, traces), faults


def _run_members(
    network: Network, members: tuple[Population, ...], plan: SpinnakerPlan, part: Sent,
    membranes: Collection[str],
) -> dict[str, tuple[Stepped, bool]]:
    """One component: a population by itself, or a loop."""
    if is_loop(network, members):
        return run_loop(network, members, plan.populations, part, membranes)
    (population,) = members
    name = population.name
    return {name: step(network, population, plan.populations[name], part, name in membranes)}
