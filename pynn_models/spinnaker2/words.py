"""The memory of the C cores: a population's neurons as 32-bit words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker2.acting import ActingParameters
from pynn_models.spinnaker2.core import Float32Array
from pynn_models.spinnaker2.gated import (
    INPUT,
    Cell,
    GatedFloats,
    GradedFloats,
    gate_at,
    value_at,
)
from pynn_models.spinnaker2.tables import FLOAT_KINDS

C_DIRECTORY = Path(__file__).with_name("c")


def neuron_words(p: Cell) -> Float32Array:
    """A neuron a row, at rest, as C lays it out.

    ``[d, bias, theta, (a_re, a_im, c_re, c_im, x_re, x_im) per mode]``: (H, 3 + 6 N); of real modes
    ``(a, c, x)``: (H, 3 + 3 N). With what its spikes do to it (``c/acting_float_core.h``)
    ``[d, bias, theta, fired, rest, before, a_1, a_2, ...]`` and r_re, r_im, or r, behind x.
    """
    acting = p if isinstance(p, ActingParameters) else None
    modes = p.modes if isinstance(p, ActingParameters) else p
    zero = np.zeros_like(modes.a_re)
    parts = [modes.a_re, modes.c_re, zero]
    if modes.a_im.size:
        parts = [modes.a_re, modes.a_im, modes.c_re, modes.c_im, zero, zero]
    head = [np.stack([modes.d, modes.bias, modes.theta], axis=1)]
    if acting is not None:
        parts += [acting.r_re, acting.r_im] if modes.a_im.size else [acting.r_re]
        head += [np.zeros_like(head[0]), acting.history]
    return np.concatenate([*head, np.stack(parts, axis=2).reshape(len(modes.d), -1)], axis=1)


def acting_shared(p: ActingParameters) -> NDArray[np.uint32]:
    """``acting_float_t``."""
    m = p.modes
    head = [m.a_re.shape[1], m.a_im.size > 0, p.hard, p.refractory, p.history.shape[1]]
    return np.array(head, np.uint32)


def gated_shared(p: GatedFloats) -> NDArray[np.uint32]:
    """What ``gated_float_t`` needs: kind and number of branches, then ``graded``, a receptor after
    another: its graded projections, and the first value of each.

    The values of a step are those of each projection's sources, one projection after another.
    """
    firsts = np.cumsum([0, *(len(g.weights) for g in p.graded)])
    kind = 0 if p.branches is None else FLOAT_KINDS[p.branches.kind].number
    found = [kind, 0 if p.branches is None else p.branches.count]
    for receptor in range(p.scale.shape[1]):
        onto = [int(firsts[i]) for i, g in enumerate(p.graded) if g.receptor == receptor]
        found += [len(onto), *onto]
    return np.array(found, np.uint32)


def gated_words(p: GatedFloats) -> list[Float32Array]:
    """Each neuron as ``c/gated_float_core.h`` lays it out, at rest; their lengths differ."""
    cells = neuron_words(p.cell)
    return [np.concatenate([_inputs(p, h), cells[h]]) for h in range(len(cells))]


def _inputs(p: GatedFloats, h: int) -> Float32Array:
    parts = [_receptor(p, h, INPUT), p.bias[h : h + 1]]
    branches = p.branches
    for n in range(0 if branches is None else branches.count):
        for receptor, bias in ((value_at(n), "value_bias"), (gate_at(n), "gate_bias")):
            parts += [_receptor(p, h, receptor), getattr(branches, bias)[h, n : n + 1]]
        parts += [getattr(branches, leaf)[h, n : n + 1] for leaf in ("shift", "gain")]
    return np.concatenate(parts)


def _receptor(p: GatedFloats, h: int, receptor: int) -> Float32Array:
    graded = [_links(g, h) for g in p.graded if g.receptor == receptor]
    return np.concatenate([p.scale[h, receptor : receptor + 1], *graded])


def _links(graded: GradedFloats, h: int) -> Float32Array:
    """``[scale, count, (source, weight) ...]``, the source in the lower half of a word."""
    weights = graded.weights[:, h].astype(np.int64)
    (sources,) = np.nonzero(weights)
    links = (sources | (weights[sources] & 0xFFFF) << 16).astype(np.uint32)
    count = np.array([len(links)], np.uint32)
    return np.concatenate([graded.scale[h : h + 1], np.append(count, links).view(np.float32)])
