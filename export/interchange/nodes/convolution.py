"""``Conv1d`` and ``Conv2d``, as matrices that join what lies under the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.description.network import FloatArray
from export.interchange.errors import InterchangeError
from export.interchange.nodes.kind import NodeRule
from export.interchange.nodes.values import array, each, require, whole
from export.interchange.nodes.windows import Windows, windows
from export.interchange.semantics import Sender
from export.interchange.signals import Map, Signal, require_room


def _convolution(name: str, node: Any, signal: Signal, dimensions: int) -> Signal:
    weight = array(name, node, "weight")  # (C_out, C_in / groups, kernel)
    (groups,) = whole(name, node, "groups", 1, 1)
    channels = signal.shape[0]
    require(
        name,
        weight.ndim == dimensions + 2 and len(signal.shape) == dimensions + 1
        and weight.shape[1] * groups == channels and len(weight) % groups == 0,
        lambda: f"weight has shape {weight.shape}, groups is {groups}, and what arrives has shape "
        f"{signal.shape}; expected (out, {channels} / groups, kernel) and (channels, space).",
    )
    kernel = weight.shape[2:]
    stride = whole(name, node, "stride", dimensions, 1)
    dilation = whole(name, node, "dilation", dimensions, 1)
    padding = _padding(name, node, dimensions, kernel, stride, dilation)
    found = windows(name, signal.shape[1:], kernel, stride, padding, dilation)
    shape = (len(weight), *found.shape)
    require_room(name, int(np.prod(shape)), signal.size)
    matrix = _matrix(weight, groups, signal.shape, found)
    bias = np.repeat(each(name, node, "bias", len(weight)), found.size)
    return signal.mapped(matrix, shape, bias)


def _padding(
    name: str, node: Any, dimensions: int, kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[int, int]]:
    """Zeros before and behind, of each dimension."""
    given = node.padding
    word = given.decode(errors="replace") if isinstance(given, bytes) else given
    if not isinstance(word, str):
        return [(n, n) for n in whole(name, node, "padding", dimensions, 0)]
    if word == "valid":
        return [(0, 0)] * dimensions
    if word != "same" or set(stride) != {1}:
        raise InterchangeError(
            f"node {name!r}: padding {word!r} with stride {stride}; expected numbers, 'valid', or "
            "'same' with stride 1."
        )
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return [(n // 2, n - n // 2) for n in total]


def _matrix(weight: FloatArray, groups: int, shape: tuple[int, ...], found: Windows) -> Map:
    """``y[o, p] = sum_i sum_q w[o, i, q] x[i, place of q in window p]``."""
    out, inner = weight.shape[:2]
    kernels = weight.reshape(out, inner, -1)
    space = int(np.prod(shape[1:]))
    values = np.zeros((out * found.size, shape[0] * space))
    joins = np.zeros(values.shape, np.bool_)
    for o in range(out):
        first = o // (out // groups) * inner
        for i in range(inner):
            at = (o * found.size + found.rows, (first + i) * space + found.columns)
            values[at] = kernels[o, i, found.taps]
            joins[at] = True
    return Map(values, joins)


def _conv1d(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """``y[o, p] = sum_i sum_q w[o, i, q] x[i, p stride + q dilation - padding] + b[o]``."""
    return _convolution(name, node, signal, 1)


def _conv2d(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """The same in two dimensions of space."""
    return _convolution(name, node, signal, 2)


CONV1D = NodeRule("Conv1d", maps=_conv1d)
CONV2D = NodeRule("Conv2d", maps=_conv2d)
