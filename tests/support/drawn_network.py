"""A small network and samples for it, for the tests of figures and of the report."""

import numpy as np

from export.description.network import Network, Population, Projection, Readout, Source
from pynn_models.cells import StateSpaceCell

CHANNELS, STEPS, NEURONS = 2, 40, 3
LAYERS = ["layer0", "layer1"]


def _cell(rng, *, complex_modes=True):
    shape = (NEURONS, 2)
    return StateSpaceCell(
        tau=rng.uniform(2, 30, shape),
        c_re=rng.standard_normal(shape),
        d=rng.standard_normal(NEURONS),
        theta=np.full(NEURONS, 0.5),
        bias=np.zeros(NEURONS),
        omega=rng.uniform(-3, 3, shape) if complex_modes else None,
        c_im=rng.standard_normal(shape) if complex_modes else None,
    )


def make_network(*, timestep=1.0, complex_modes=True):
    rng = np.random.default_rng(7)
    populations = [
        Population(name, _cell(rng, complex_modes=complex_modes), i + 1)
        for i, name in enumerate(LAYERS)
    ]
    accumulator = StateSpaceCell(
        tau=np.full((2, 1), np.inf), c_re=np.ones((2, 1)), d=np.zeros(2),
        theta=np.full(2, np.inf), bias=np.zeros(2),
    )
    first = np.zeros((CHANNELS, NEURONS))
    first[0] = 1.0  # channel 0 reaches each neuron with weight 1
    return Network(
        timestep=timestep,
        steps=STEPS,
        source=Source("input", "current", CHANNELS),
        populations=(*populations, Population("readout", accumulator, 3)),
        projections=(
            Projection("input", "layer0", first, 1),
            Projection("layer0", "layer1", rng.standard_normal((NEURONS, NEURONS)), 1),
            Projection("layer1", "readout", rng.standard_normal((NEURONS, 2)), 1),
        ),
        readout=Readout("readout", "mean"),
        origin={"task": {"name": "smnist"}},
    )


NETWORK = make_network()
SAMPLES = np.random.default_rng(1).standard_normal((4, CHANNELS, STEPS))


def labels_of(axes):
    """Those of the horizontal and of the vertical axis."""
    return axes.get_xlabel(), axes.get_ylabel()
