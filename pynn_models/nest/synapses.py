"""Synapses of spikes and of membranes for NEST. Imports PyNN: load through `pynn_models.nest`."""

from __future__ import annotations

import numpy as np
from pyNN.nest.simulator import state
from pyNN.nest.synapses import NativeSynapseType

from pynn_models.errors import SnnSsmError
from pynn_models.nest.build import DIFFERENCE_SYNAPSE_NAME, GRADED_SYNAPSE_NAME, install


class ProjectionError(SnnSsmError):
    """Weights, delay, input or ends of a projection do not fit it."""


class RawSynapse(NativeSynapseType):
    """What the two synapses share: a weight that is not scaled, of either sign, and a delay."""

    default_parameters = {"weight": 0.0, "delay": None}

    def get_schema(self) -> dict[str, type]:
        return {"weight": float, "delay": float}

    def delay_ms(self) -> float:
        """The delay, one for all synapses of a projection, in ms; raises `ProjectionError`."""
        delay = self.native_parameters["delay"]
        if not delay.is_homogeneous:
            raise ProjectionError(
                f"{type(self).__name__}: the delays differ between synapses, expected one delay "
                "for the projection. Make one projection a delay."
            )
        delay.shape = (1,)
        return float(delay.evaluate(simplify=True))

    def _get_nest_synapse_model(self) -> str:
        # Before PyNN does, whose message for a long delay blames the loading of extensions.
        delay_steps(self.delay_ms(), type(self).__name__)
        return str(super()._get_nest_synapse_model())


class RawStaticSynapse(RawSynapse):
    """A synapse that delivers its weight, unscaled and of either sign, `delay` ms after a spike.

    PyNN's own `StaticSynapse` multiplies by 1000 and refuses weights of mixed signs.
    Units: weight as the cell's input (dimensionless), delay ms (None: PyNN's min_delay).
    Raises: `ProjectionError`, when the projection is made, for a delay that the simulator was
    not set up for.
    """

    nest_name = "static_synapse"


class GradedSynapse(RawSynapse):
    """A synapse that delivers weight times the source's membrane, at every step::

        input of j += W[i, j] y_i[k - delay]

    Both ends are `StateSpace` cells; before its first step a cell sends 0.
    Units: weight dimensionless, delay ms (None: PyNN's min_delay).
    Raises: as `RawStaticSynapse`, and what `pynn_models.nest.install` raises.
    """

    nest_name = GRADED_SYNAPSE_NAME

    def _get_nest_synapse_model(self) -> str:
        install()
        return super()._get_nest_synapse_model()


class DifferenceSynapse(GradedSynapse):
    """A synapse that delivers weight times by how many spikes a step has more than the one before::

        input of j += sum over k' <= k - delay of W[i, j] (s_i[k'] - s_i[k'-1])

    From `StateSpace` cells with differences to a receptor of `StateSpace` cells, which adds them
    up: exactly, if all W onto it are multiples of one power of two and few enough, and then it is
    what a `RawStaticSynapse` from cells without differences brings. NEST delivers a value every
    step, 0 included. Units and errors: as `GradedSynapse`.
    """

    nest_name = DIFFERENCE_SYNAPSE_NAME


def delay_steps(delay: float, where: str) -> int:
    """The delay in steps; raises `ProjectionError` for one that the simulator cannot honour."""
    dt, shortest, longest = float(state.dt), float(state.min_delay), float(state.max_delay)
    steps = round(delay / dt) if np.isfinite(delay) else 0
    tolerance = 1e-6 * dt
    on_grid = abs(steps * dt - delay) <= tolerance
    if not (on_grid and shortest - tolerance <= delay <= longest + tolerance):
        raise ProjectionError(
            f"{where}: the delay is {delay} ms, expected a multiple of the timestep {dt} ms from "
            f"min_delay {shortest} ms to max_delay {longest} ms. Choose such a delay, or pass "
            "min_delay and max_delay to sim.setup()."
        )
    return steps
