"""Random optional parts: reset, threshold history, multiplicity."""

from dataclasses import replace

import numpy as np

from pynn_models.cells import History, Multiplicity, Reset, StateSpaceCell

RESETS = ("none", "soft", "hard")


def parts_of(rng, cell, reset="none", refractory=0, history=0, levels=1):
    """Optional parts for a random cell, as its keyword arguments; ``history`` J, ``levels`` D."""
    modes, size = cell.tau.shape, cell.n_neurons
    found = {}
    if reset != "none":
        r = {}
        if reset == "soft":
            r = {"r_re": rng.normal(size=modes) * 0.3}
            r |= {"r_im": rng.normal(size=modes) * 0.3} if cell.is_complex else {}
        found["reset"] = Reset(**r, refractory=refractory)
    if history:
        found["history"] = History(a=rng.normal(size=(size, history)) * 0.2)
    if levels > 1:
        steps = rng.uniform(0, 0.6, (size, levels - 1)).cumsum(axis=1)
        found["multiplicity"] = Multiplicity(further=cell.theta[:, None] + steps)
    return found


def any_parts(rng, cell):
    """The cell with parts drawn at random, at least one of them."""
    history, levels = int(rng.integers(0, 5)), int(rng.integers(1, 5))
    reset = str(rng.choice(RESETS if history or levels > 1 else RESETS[1:]))
    return replace(cell, **parts_of(rng, cell, reset, int(rng.integers(0, 3)), history, levels))


def with_differences(network, seed=0, share=0.7):
    """The network with some of its spiking state-space cells sending differences, at least one;
    those that send membranes stay as they are."""
    rng = np.random.default_rng((seed, 10))
    graded = {p.source for p in network.projections if p.graded}
    able = [
        p.name for p in network.populations
        if p.spikes and isinstance(p.cell, StateSpaceCell) and p.name not in graded
    ]
    chosen = {str(rng.choice(able)), *(name for name in able if rng.random() < share)}
    return replace(network, populations=tuple(
        replace(p, cell=replace(p.cell, differences=True)) if p.name in chosen else p
        for p in network.populations
    ))


def with_parts(network, seed=0):
    """The network with parts drawn at random for its spiking state-space cells."""
    rng = np.random.default_rng((seed, 9))
    populations = [
        replace(p, cell=any_parts(rng, p.cell))
        if p.spikes and isinstance(p.cell, StateSpaceCell) else p
        for p in network.populations
    ]
    return replace(network, populations=tuple(populations))
