"""The levels at which a trained network's neurons spike: thresholds, clear of ties.

A membrane may be equal to its threshold by construction: the input of a constant channel is 0 once
its norm has taken off the mean, and a leaky neuron of weight 1 reaches 1. No two ways of computing
such a membrane in float64 round it to the same side. The contract's rule is therefore

    s[k] = 1 if y[k] > theta + margin else 0

with a margin for every neuron above what rounding makes of its membrane at a tie: **what is at its
threshold, as far as float64 can tell, does not spike**. The level theta + margin lies at no
coincidence, so that the trained model, ``software`` and a simulator, which round differently, all
agree about a tie. The trained model compares with the level here, a network has it for its theta;
each computes its membranes by itself.

The margin is a running error bound, in first order, with u = 2^-53. A sum of K terms bounded in
magnitude by B, rounded in any order, is off by (K + 4) u B; the grid of lowering
(:mod:`export.lowering.affine`) moves a sum by 2^-52 B for each unit of its sources. These errors
are carried through norms, mixings and a neuron's modes, whose gain from a constant input is

    |d| + sum_n |g_n| S_n,   S_n = min(L, 1 / (1 - |abar_n|)),   L steps

to which the rounding of the readout's sum is added. Two things have no bound before the samples are
known and are left out: real-valued inputs, and the products of a gated spiking unit.

A bound over all inputs can be far above what a neuron of very unequal sources does while the large
ones are silent. So a margin is at most 2^-24 of the threshold, and of what the membrane is made of
when next to nothing arrives: its constants, or the least of its sources.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import ModelConfig
from snn_ssm.kinds.bounds import (
    BATCH_NORM_EPS,
    UNIT,
    Arrays,
    Bounded,
    Level,
    array,
    bias_of,
    least_of,
    norm_of,
    weighted_sum,
)
from snn_ssm.kinds.cells import CELLS, LEAKY_THRESHOLD
from snn_ssm.kinds.mixings import MIXINGS

__all__ = ["BATCH_NORM_EPS", "LEAKY_THRESHOLD", "Level", "levels"]


def _encoded(arrays: Arrays, model: ModelConfig) -> Bounded:
    weight = np.abs(array(arrays, "encoder.weight"))
    if model.encoder == "embedding":
        size, least = weight.max(0), least_of(weight.T)
        always = np.where(np.isfinite(least), least, 0.0)  # there is a symbol at every step
        return Bounded(size, 4 * UNIT * size, always, least, 1.0)
    # Real-valued: no largest value; bits 0 leave the input out.
    most = 2.0**model.input_bits - 1
    weight = weight * abs(model.input_scale)
    constant = np.abs(bias_of(arrays, "encoder", model.channels))
    size = weight.sum(1) * most + constant
    least = least_of(weight) if most else np.full(model.channels, np.inf)
    error = (model.inputs + 4) * UNIT * size
    return Bounded(size, error, constant, least, model.inputs * most)


def levels(checkpoint: Checkpoint) -> tuple[Level, ...]:
    """The level of every neuron, a :class:`Level` a layer: ``y > theta + margin`` is a spike.

    Of a ternary layer's negative spikes, ``-y > theta + margin``. The model is one that lowers.
    Where a margin overflows, which leaves no network that could run, it is 0.
    Source: Higham 2002, *Accuracy and Stability of Numerical Algorithms*, sections 3.3 and 4.2.
    """
    model, arrays = checkpoint.config.model, checkpoint.arrays
    steps, normed = checkpoint.config.task.steps, model.norm == "batch" and model.cells != "stock"
    found = []
    with np.errstate(all="ignore"):
        stream = _encoded(arrays, model)
        for i in range(model.depth):
            norm = f"blocks.{i}.norm"
            u = stream.normed(*norm_of(arrays, norm)) if normed and model.prenorm else stream
            if model.recurrent:
                u = u.plus(weighted_sum(arrays, f"blocks.{i}.recurrent", model))
            level = CELLS[model.cells].level(arrays, i, model, u, steps)
            margin = np.where(np.isfinite(level.margin), level.margin, 0.0)
            found.append(replace(level, margin=margin))
            stream = stream.plus(MIXINGS[model.mixing].bound(arrays, f"blocks.{i}.mixing", model))
            if normed and not model.prenorm:
                stream = stream.normed(*norm_of(arrays, norm))
    return tuple(found)
