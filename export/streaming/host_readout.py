"""The readout's membrane of spikes that come step by step, on the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from pynn_models.cells import propagator


class HostReadout:
    """What the readout population would hold of the spikes of each step::

        u = sum_i s_i[k - lag] R_i + r,   x = a x + u,   y = c x + d u

    as :func:`export.samples.readout_membrane` computes of a whole recording. For a network whose
    readout is linear in the spikes (``network.linear_readout``).
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        population = network.population(network.readout.population)
        self._cell = population.state_space
        self._bias = population.cell.bias
        self._parts = [
            (projection.source, lag, weights)
            for projection in network.incoming(population.name)
            for lag, weights in projection.by_lag(network.lead(projection), projection.weights)
        ]
        longest = max((lag for _, lag, _ in self._parts), default=0)
        self._sent: deque[Mapping[str, NDArray[Any]]] = deque(maxlen=longest + 1)
        re, im = propagator(self._cell.tau, self._cell.omega, network.timestep)
        self._decay = re if im is None else re + 1j * im  # (K, N)
        c_im = self._cell.c_im
        self._c = self._cell.c_re if c_im is None else self._cell.c_re + 1j * c_im
        self._x = np.zeros(self._decay.shape, self._decay.dtype)

    def step(self, sent: Mapping[str, NDArray[Any]]) -> FloatArray:
        """The membrane (K,) after a step in which each source sent so many spikes, (size,)."""
        self._sent.appendleft(sent)
        u = self._bias.astype(np.float64)
        for source, lag, weights in self._parts:
            if lag < len(self._sent):
                u = u + self._sent[lag][source].astype(np.float64) @ weights
        self._x = self._decay * self._x + u[:, None]
        return np.asarray((self._c * self._x).sum(-1).real + self._cell.d * u)
