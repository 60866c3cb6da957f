"""Random cells, parameters and states for the tests of SpiNNaker's native arithmetic."""

from dataclasses import replace

import numpy as np

from pynn_models import StateSpaceCell
from pynn_models.spinnaker import NativeParameters, NativeReset, NativeState

EXTREMES = [-(2**31), -(2**31) + 1, -(2**30), -1, 0, 1, 2**30, 2**31 - 1]


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


def random_parameters(rng, size, modes, rotating):
    """Any integers that the parameters' own checks accept, poles on the circle among them."""
    radius = np.minimum(1.0, 1 - rng.choice([0, 1e-4, 1e-2, 0.5], (size, modes)))
    angle = rng.choice([0, np.pi], radius.shape)
    if rotating:
        angle = rng.uniform(-np.pi, np.pi, radius.shape)
    a = radius * np.exp(1j * angle) * (2**31 - 2)
    share = 2**32 / (2 * modes + 1) - 64
    c = np.clip(rng.normal(size=(2, size, modes)) * share / 2, -share, share)
    c = np.clip(c, -(2**31) + 64, 2**31 - 64).astype(np.int64)
    c_re = (c[0] & ~31) | rng.integers(0, 31, (size, modes))
    return NativeParameters(
        a_re=a.real.astype(np.int32),
        a_im=a.imag.astype(np.int32) if rotating else None,
        c_re=c_re.astype(np.int32),
        c_im=c[1].astype(np.int32) if rotating else None,
        d=rng.integers(-share / 2, share / 2, size).astype(np.int32) // 2,
        theta=rng.choice(np.array([*EXTREMES, 2**20, 2**27], np.int32), size),
        bias=rng.integers(-(2**20), 2**20, size).astype(np.int32),
        input_exponent=0,
        membrane_exponent=np.zeros(size, np.int64),
    )


RESETS = ("none", "soft", "hard")


def with_random_parts(rng, p, reset, steps):
    """The parameters with a reset of any r and up to three steps of silence, and a history of any
    ``steps`` that their checks accept."""
    found = {}
    if reset != "none":
        taken = {}
        if reset == "soft":
            r = rng.choice(np.array([*EXTREMES, 2**27, 2**20], np.int64), (2, *p.a_re.shape))
            r = np.where(rng.random(r.shape) < 0.5, rng.integers(-(2**31), 2**31, r.shape), r)
            taken = {"r_re": r[0].astype(np.int32)}
            taken |= {"r_im": r[1].astype(np.int32)} if p.is_complex else {}
        found["reset"] = NativeReset(**taken, refractory=int(rng.integers(0, 4)))
    if steps:
        room = (2**31 - 1 - np.abs(p.theta.astype(np.int64))) // steps
        room = np.where(p.theta == 2**31 - 1, 2**31 - 1, np.maximum(room, 0))  # never above it
        found["history"] = rng.integers(-room, room + 1, (steps, len(room))).T.astype(np.int32)
    return replace(p, **found)


def random_state(rng, p, samples):
    """States anywhere in 32 bits, the ends and zero among them, that the cell can have: no Im of
    real modes, 0 where a hard reset holds them, and nothing before below the highest threshold."""
    x = rng.integers(-(2**31), 2**31, (2, samples, *p.a_re.shape))
    ends = rng.choice(np.array(EXTREMES), x.shape)
    x = np.where(rng.random(x.shape) < 0.3, ends, x).astype(np.int32)
    x[1] *= p.is_complex
    shape = samples, p.n_neurons
    rest = rng.choice(np.array([0, 0, 1, 2], np.int32), shape)
    if p.reset is not None and p.reset.is_hard:
        x *= (rest == 0)[:, :, None]
    before = rng.integers(0, 2**p.history_steps, shape).astype(np.uint32)
    before[:, p.theta == 2**31 - 1] = 0
    return NativeState(
        *x, None if p.reset is None else rest, None if p.history is None else before
    )
