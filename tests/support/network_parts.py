"""The parts of a small sound network, for tests that change one; and what it is refused with."""

import math

import numpy as np
import pytest

from export.description.network import (
    Network,
    NetworkError,
    Population,
    Projection,
    Readout,
    Source,
)
from pynn_models.cells import Branches, LeakyCell, StateSpaceCell


def cell(size, theta=0.0, branches=0, **changes):
    """One real mode a neuron, and so many branches of no effect."""
    values = {
        "tau": np.full((size, 1), 10.0),
        "c_re": np.ones((size, 1)),
        "d": np.zeros(size),
        "theta": np.full(size, theta),
        "bias": np.zeros(size),
    }
    if branches:
        zeros = np.zeros((size, branches))
        values["branches"] = Branches(
            kind="glu", value_bias=zeros, gate_bias=zeros, shift=zeros, gain=zeros + 1
        )
    return StateSpaceCell(**(values | changes))


def leaky(size):
    return LeakyCell(tau=np.full(size, 10.0), theta=np.ones(size), bias=np.zeros(size))


def parts(**changes):
    """Input of 2 sources -> layer of 3 -> readout of 2, with a skip from the input."""
    values = {
        "timestep": 1.0,
        "steps": 5,
        "source": Source("input", "bits", 1, 2),
        "populations": (
            Population("layer", cell(3), 1),
            Population("readout", cell(2, math.inf), 2),
        ),
        "projections": (
            Projection("input", "layer", np.ones((2, 3)), 1),
            Projection("layer", "readout", np.ones((3, 2)), 1),
            Projection("input", "readout", np.ones((2, 2)), 2),
        ),
        "readout": Readout("readout", "mean"),
    }
    return values | changes


def refusal(function, *args, **kwargs):
    """The message of the ``NetworkError`` that the call raises."""
    with pytest.raises(NetworkError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def refused(**changes):
    """What the network with these parts changed is refused with."""
    return refusal(Network, **parts(**changes))
