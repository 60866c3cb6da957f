"""A leaky current and a leaky voltage behind it, as one neuron of two modes."""

from __future__ import annotations

import numpy as np

from pynn_models.cells import Reset, StateSpaceCell, propagator

_NEAR = 1e-3  # of poles: nearer ones cost digits, since their modes all but cancel


def merged(
    current: StateSpaceCell, voltage: StateSpaceCell, timestep: float
) -> StateSpaceCell | None:
    """The neurons of ``i[k] = a i[k-1] + u[k]`` and ``v[k] = b v[k-1] + g i[k] + constant``::

        v = g (a x_a - b x_b) / (a - b)  of the modes  x_p[k] = p x_p[k-1] + u[k]

    A reset that takes ``r`` from v/g takes ``r (a - b) / -b`` from x_b, and nothing from x_a.
    None where one neuron cannot be both: a hard reset, which leaves i alone; poles that are near
    each other or 0; a constant, which is no input of i.
    """
    a, b = (propagator(cell.tau, None, timestep)[0][:, 0] for cell in (current, voltage))
    hard = voltage.reset is not None and voltage.reset.is_hard
    if hard or (np.abs(a - b) < _NEAR).any() or (b == 0).any() or voltage.bias.any():
        return None
    gain = current.c_re[:, 0] * voltage.c_re[:, 0]
    shows = np.stack([a, -b], axis=1) * (gain / (a - b))[:, None]
    reset = None
    if voltage.reset is not None:
        taken = np.zeros(voltage.tau.shape) if voltage.reset.r_re is None else voltage.reset.r_re
        from_b = taken[:, 0] * voltage.c_re[:, 0] / shows[:, 1]
        reset = Reset(r_re=np.stack([np.zeros(len(a)), from_b], axis=1))
    return StateSpaceCell(
        tau=np.concatenate([current.tau, voltage.tau], axis=1), c_re=shows, d=voltage.d,
        theta=voltage.theta, bias=voltage.bias, reset=reset, multiplicity=voltage.multiplicity,
    )
