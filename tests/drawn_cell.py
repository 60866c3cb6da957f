"""Random state-space cells for the tests of SpiNNaker's native arithmetic."""

import numpy as np

from pynn_models import StateSpaceCell


def cell_of(rng, size, modes, rotating=True, **changes):
    """Random cells of a population, with parameters changed."""
    values = {
        "tau": np.exp(rng.uniform(np.log(2), np.log(3000), (size, modes))),
        "omega": rng.uniform(-3, 3, (size, modes)) if rotating else None,
        "c_re": rng.normal(size=(size, modes)) * 0.1,
        "c_im": rng.normal(size=(size, modes)) * 0.1 if rotating else None,
        "d": rng.normal(size=size),
        "theta": rng.uniform(0.1, 2, size),
        "bias": rng.normal(size=size) * 0.1,
    }
    return StateSpaceCell(**(values | changes))
