"""Runs a Network in float64, a batch of samples at a time.

A network's projections all go forward, so each population is run over the whole sequence before
the next: its input is one matrix product a projection, its modes one compiled loop. The products
are exact in any order of summation (:mod:`export.lower` puts the weights on a dyadic grid), and
the loop does what the cell does, in the cell's order, so the result equals a simulator's bit for
bit. Delays shift a simulator's steps and nothing else; here they are already taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from export.inputs import encode
from export.network import FloatArray, Network, Population
from export.recording import Recording, concatenate
from pynn_models.cells import StateSpaceCell, propagator

_BATCH = 50  # samples at once: their membranes stay near the cache


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _complex_modes(u, ar, ai, cr, ci, d, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    modes = ar.shape[0]
    keep = membrane.shape[0] > 0
    for b in range(samples):
        xr = np.zeros((modes, size))
        xi = np.zeros((modes, size))
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    re = (ar[n, h] * xr[n, h] - ai[n, h] * xi[n, h]) + u[b, k, h]
                    im = ar[n, h] * xi[n, h] + ai[n, h] * xr[n, h]
                    xr[n, h] = re
                    xi[n, h] = im
                    acc[h] += cr[n, h] * re - ci[n, h] * im
            for h in range(size):
                y = acc[h] + d[h] * u[b, k, h]
                spikes[b, k, h] = y > theta[h]
                if keep:
                    membrane[b, k, h] = y


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _real_modes(u, ar, cr, d, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    modes = ar.shape[0]
    keep = membrane.shape[0] > 0
    for b in range(samples):
        x = np.zeros((modes, size))
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    x[n, h] = ar[n, h] * x[n, h] + u[b, k, h]
                    acc[h] += cr[n, h] * x[n, h]
            for h in range(size):
                y = acc[h] + d[h] * u[b, k, h]
                spikes[b, k, h] = y > theta[h]
                if keep:
                    membrane[b, k, h] = y


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_product(u, emitted, weights):  # type: ignore[no-untyped-def]
    """``u[b, k] += sum_i emitted[b, k, i] weights[i]``, i ascending, silent sources passed over."""
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for i in range(weights.shape[0]):
                value = emitted[b, k, i]
                if value != 0:
                    for h in range(size):
                        u[b, k, h] += value * weights[i, h]


def _in_threads(work: Callable[[slice], None], samples: int) -> None:
    """``work`` on slices of the samples, a thread each.

    Neither numba's parallel loop, which sets the number of threads of NEST's OpenMP and so crashes
    NEST, nor BLAS's threads, which spin and slow each other down on cores that have other work.
    """
    size = -(-samples // numba.config.NUMBA_NUM_THREADS)
    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as threads:
        list(threads.map(work, [slice(i, i + size) for i in range(0, samples, size)]))


def run_cell(
    cell: StateSpaceCell, u: FloatArray, timestep: float, *, membrane: bool
) -> tuple[NDArray[np.bool_], FloatArray | None]:
    """The cell's equation over a sequence: ``u`` (B, L, H), bias included -> spikes, membrane.

    The operations and their order are those of the cell's contract, modes ascending, so that the
    result does not depend on the backend.
    """
    a_re, a_im = propagator(cell.tau, cell.omega, timestep)  # (H, N)
    spikes = np.empty(u.shape, np.bool_)
    trace = np.empty(u.shape if membrane else (0, 0, 0))
    rows = [np.ascontiguousarray(m.T) for m in (a_re, a_im, cell.c_re)]  # (N, H)
    if cell.c_im is not None:
        c_im = np.ascontiguousarray(cell.c_im.T)
        arguments = (*rows, c_im, cell.d, cell.theta)
        loop = _complex_modes
    else:
        arguments = (rows[0], rows[2], cell.d, cell.theta)
        loop = _real_modes

    def part(samples: slice) -> None:
        loop(u[samples], *arguments, spikes[samples], trace[samples])

    _in_threads(part, len(u))
    return spikes, trace if membrane else None


def run(
    network: Network, samples: NDArray[Any], *, membranes: Collection[str] = ()
) -> Recording:
    """Spikes of every layer, (B, L, H), and the named populations' membranes.

    ``samples`` (B, channels, steps); each starts from rest. Raises ``InputError``, and
    ``NetworkError`` for a name that there is no population of.
    """
    for name in membranes:
        network.population(name)
    encoded = encode(network, samples)  # (B, L, sources)
    return concatenate(
        [
            _run_part(network, encoded[i : i + _BATCH], membranes)
            for i in range(0, len(samples), _BATCH)
        ]
    )


def _run_part(
    network: Network, encoded: NDArray[Any], membranes: Collection[str]
) -> Recording:
    emitted = {network.source.name: encoded}  # (B, L, size): uint8 spikes, or float64 currents
    spikes: dict[str, NDArray[np.bool_]] = {}
    traces: dict[str, FloatArray] = {}
    for population in network.populations:
        wanted = population.name in membranes
        silent = population.name == network.readout.population
        if silent and not wanted:
            continue
        u = _input(network, population, emitted)
        fired, trace = run_cell(population.cell, u, network.timestep, membrane=wanted)
        if not silent:
            spikes[population.name] = fired
            emitted[population.name] = fired.view(np.uint8)
        if trace is not None:
            traces[population.name] = trace
    return Recording("software", network.timestep, spikes, traces)


def _input(
    network: Network, population: Population, emitted: Mapping[str, NDArray[Any]]
) -> FloatArray:
    """``u`` (B, L, H) of a population, its bias included."""
    samples, steps = emitted[network.source.name].shape[:2]
    u = np.zeros((samples, steps, population.size))

    def part(samples: slice) -> None:
        for projection in network.incoming(population.name):
            _add_product(u[samples], emitted[projection.source][samples], projection.weights)

    _in_threads(part, samples)
    u += population.cell.bias
    return u
