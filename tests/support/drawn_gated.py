"""Random gated parameters and inputs for the tests of SpiNNaker's arithmetic."""

import dataclasses

import numpy as np

from pynn_models.spinnaker.gated_parameters import (
    GRADED_LIMIT,
    GatedBranches,
    GatedParameters,
    GradedWeights,
)
from support.drawn_cell import EXTREMES, random_parameters, with_random_parts


def words(rng, shape):
    """Integers of any size up to 32 bits, the ends among them."""
    x = rng.integers(-(2**31), 2**31, shape) >> rng.integers(0, 31, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice(EXTREMES, shape), x).astype(np.int32)


def random_gated(
    rng, kind, *, size=3, modes=2, rotating=True, branches=2, sources=(3, 4), reset="none",
    history=0,
):
    """Any integers that the checks accept; ``sources``: of each graded projection."""
    cell = random_parameters(rng, size, modes, rotating)
    cell = with_random_parts(rng, cell, reset, history)
    cell = dataclasses.replace(cell, bias=np.zeros(size, np.int32))
    shape = (size, branches)
    made = None
    if kind:
        made = GatedBranches(
            kind=kind,
            **{n: words(rng, shape) for n in ("value_bias", "gate_bias", "offset", "gain")},
            **{n: rng.integers(0, 32, shape).astype(np.int32) for n in ("first", "index", "last")},
        )
    receptors = 1 + 2 * (branches if kind else 0)
    graded = []
    for source, n in enumerate(sources):
        top = min(2**15 - 1, (GRADED_LIMIT - 1) // n)
        weights = rng.integers(-top, top + 1, (n, size)) >> rng.integers(0, 15, (n, size))
        graded.append(
            GradedWeights(
                weights.astype(np.int16),
                rng.integers(0, 32, size).astype(np.int32),
                int(rng.integers(0, receptors)),
                int(rng.integers(1, 16)),
                source,
            )
        )
    return GatedParameters(
        cell=cell,
        bias=words(rng, size),
        send=rng.integers(0, 32, size).astype(np.int32),
        branches=made,
        graded=tuple(graded),
    )


def random_inputs(rng, parameters, steps):
    """What spikes bring (L, H, receptors) and what graded sources send (L, sources)."""
    p = parameters
    sources = sum(len(g.weights) for g in p.graded)
    arriving = words(rng, (steps, p.cell.n_neurons, p.n_receptors))
    return arriving, words(rng, (steps, sources))


def delayed(parameters, values):
    """What each graded projection reads of values (L, sources), (L, pre) a projection."""
    found, first = [], 0
    for g in parameters.graded:
        part = values[:, first : first + len(g.weights)]
        late = np.zeros_like(part)
        late[g.delay :] = part[: max(len(part) - g.delay, 0)]
        found.append(late)
        first += len(g.weights)
    return found


def random_egru(rng, *, size=3, sources=(3, 4)):
    """Event-based units of any integers that the checks accept."""
    made = random_gated(rng, "glu", size=size, modes=1, rotating=False, sources=sources)
    cell = dataclasses.replace(
        made.cell,
        **{name: np.zeros((size, 1), np.int32) for name in ("a_re", "c_re")},
        d=np.zeros(size, np.int32),
        theta=rng.integers(1, 2**28, size).astype(np.int32),
    )
    branches = dataclasses.replace(made.branches, kind="egru")
    send = np.zeros(size, np.int32)
    graded = tuple(dataclasses.replace(g, delay=min(g.delay, 14)) for g in made.graded)
    return dataclasses.replace(
        made, cell=cell, branches=branches, send=send, graded=graded, events=True
    )
