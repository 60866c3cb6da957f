"""IF_curr_delta in integers: against an independent scalar implementation, and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spinnaker_reference import DeltaNeuron

from pynn_models.spinnaker import FixedPointError
from pynn_models.spinnaker.delta import DeltaCell, delta_constants, run_delta

SHIFTS = st.tuples(st.integers(0, 15), st.integers(0, 15))


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1), SHIFTS, st.sampled_from([0.1, 1.0, 2.5]), st.booleans(),
    st.sampled_from([200, 65535]),
)  # fmt: skip
def test_random_cells_equal_the_scalar_model(seed, shifts, timestep, plain, most):
    """Full ring buffers that wrap, refractory times, offsets; or the cells that lowering makes."""
    rng, size = np.random.default_rng(seed), 4
    p = {
        "tau_m": rng.uniform(0.5, 50, size).round(3),
        "cm": rng.uniform(0.2, 3, size).round(3),
        "tau_refrac": rng.choice([0.0, 0.1, 1.0, 7.0], size),
        "v_rest": rng.uniform(-70, -60, size).round(2),
        "v_reset": rng.uniform(-80, -60, size).round(2),
        "v_thresh": rng.uniform(-60, -40, size).round(2),
        "i_offset": rng.normal(size=size).round(3),
    }
    if plain:
        p |= dict.fromkeys(("v_rest", "v_reset", "tau_refrac", "i_offset"), np.zeros(size))
        p |= {"cm": p["tau_m"], "v_thresh": rng.uniform(0.1, 2, size).round(3)}
    buffers = rng.integers(0, most + 1, (2, 1, 30, size)).astype(np.uint16)
    buffers[rng.random(buffers.shape) < 0.5] = 0
    constants = delta_constants(DeltaCell(**p), timestep)
    found = run_delta(constants, *buffers, shifts, membrane=True)
    for h in range(size):
        neuron = DeltaNeuron({k: float(v[h]) for k, v in p.items()}, timestep, shifts)
        for k in range(30):
            spike, v = neuron.tick(buffers[:, 0, k, h].tolist())
            assert (found.spikes[0, k, h], found.membrane[0, k, h]) == (spike, v)


def test_refusals():
    with pytest.raises(FixedPointError, match="DeltaCell: parameters of shapes"):
        delta_constants(DeltaCell(tau_m=[1.0, 2.0], cm=[1.0, 2.0, 3.0]), 1.0)
    with pytest.raises(FixedPointError, match="tau_m / cm, neuron 1"):
        delta_constants(DeltaCell(tau_m=[1.0, 60000.0], cm=[1.0, 0.001]), 1.0)
    constants = delta_constants(DeltaCell(tau_m=[5.0, 9.0]), 1.0)
    full, short = np.zeros((1, 3, 2), np.uint16), np.zeros((1, 2, 2), np.uint16)
    with pytest.raises(FixedPointError, match=r"expected \(B, L, 2\) of both"):
        run_delta(constants, full, short, (0, 0))
    with pytest.raises(FixedPointError, match="shift is 16"):
        run_delta(constants, full, full, (16, 0))
