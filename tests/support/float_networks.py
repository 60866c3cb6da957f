"""Random populations of SpiNNaker 2's gated float32 core, and what arrives at them."""

from typing import NamedTuple

import numpy as np

from pynn_models.spinnaker2 import (
    ActingParameters,
    FloatBranches,
    GatedFloats,
    GradedFloats,
    ModeParameters,
    gated_input,
)


def random_modes(rng, size, modes, rotating=True, bias=False, theta=3):
    """Neurons of any poles within the circle."""
    shape = (size, modes)
    decay, angle = rng.uniform(0.3, 1, shape), rng.uniform(-3, 3, shape)
    none = np.empty((size, 0))
    return ModeParameters(
        a_re=decay * np.cos(angle) if rotating else decay,
        a_im=decay * np.sin(angle) if rotating else none,
        c_re=rng.normal(size=shape),
        c_im=rng.normal(size=shape) if rotating else none,
        d=rng.normal(size=size), bias=rng.normal(size=size) * bias,
        theta=rng.normal(size=size) * theta,
    )


def random_floats(
    rng, kind, *, size=5, modes=3, rotating=True, branches=2, sources=(6, 9, 4), receptor=None
):
    """``sources``: of each graded projection, onto any receptor unless one is given."""
    branches = branches if kind else 0
    receptors = 1 + 2 * branches
    made = None
    if kind:
        shape = (size, branches)
        shift, gain = rng.normal(size=(2, *shape))
        made = FloatBranches(
            kind, rng.normal(size=shape), rng.normal(size=shape),
            shift if kind == "gsu" else 0 * shift, gain if kind == "gsu" else 0 * gain + 1,
        )
    graded = []
    for n in sources:
        weights = rng.integers(-127, 128, (n, size)) * (rng.random((n, size)) < 0.6)
        at = int(rng.integers(0, receptors)) if receptor is None else receptor
        graded.append(GradedFloats(weights.astype(np.int8), rng.uniform(1e-3, 1e-2, size), at))
    return GatedFloats(
        cell=random_modes(rng, size, modes, rotating),
        bias=rng.normal(size=size),
        scale=rng.uniform(1e-3, 1e-2, (size, receptors)),
        branches=made,
        graded=tuple(graded),
    )


def random_acting(rng, size, modes, *, reset="soft", history=3, rotating=True, refractory=1):
    """Neurons with a reset (``none``, ``soft``, ``hard``) and a history of so many steps."""
    none = np.zeros((size, modes))
    r = rng.normal(size=(2, size, modes)) * (reset == "soft")
    return ActingParameters(
        random_modes(rng, size, modes, rotating, bias=True),
        r[0], r[1] if rotating else none[:, :0], rng.normal(size=(size, history)),
        reset == "hard", refractory if reset != "none" else 0,
    )


class Arrives(NamedTuple):
    """``spikes`` (L, rows) of sources, each of one row of ``weights`` (rows, H) int8 onto one of
    the ``receptors`` (rows,); ``values`` [(L, pre)] of each graded projection."""

    spikes: np.ndarray
    weights: np.ndarray
    receptors: np.ndarray
    values: list

    def sums(self, p):
        """(L, R, H) float32, by a loop over the spikes."""
        found = np.zeros((len(self.spikes), *p.scale.T.shape), np.float32)
        for k, row in np.argwhere(self.spikes):
            found[k, self.receptors[row]] += self.weights[row].astype(np.float32)
        return found

    def input(self, p):
        """u (1, L, H)."""
        return gated_input(p, self.sums(p)[None], [v[None] for v in self.values])


def random_inputs(rng, p, steps, rows=24):
    """Spikes of ``rows`` sources, and values."""
    size, receptors = p.scale.shape
    return Arrives(
        rng.random((steps, rows)) < 0.5,
        rng.integers(-127, 128, (rows, size)).astype(np.int8),
        np.arange(rows) % receptors,
        [rng.normal(size=(steps, len(g.weights))).astype(np.float32) for g in p.graded],
    )
