"""State-space cells: poles become time constants and rotations, readout weights stay weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.description.network import FloatArray
from export.lowering.cells.kinds import (
    Lowered,
    Setting,
    integer_levels,
    is_ternary,
    negative,
)
from export.lowering.errors import LoweringError
from export.lowering.layer import Layer, first_bad
from export.lowering.stream import Stream
from pynn_models.cells import History, Multiplicity, Reset, StateSpaceCell
from snn_ssm.poles import ComplexArray, discretise, log_magnitude, rounded_pole

_FORGETS = -1000.0  # ln|abar| of a pole at 0: exp(-1000) is 0 in float64


def lower(layer: Layer, stream: Stream, setting: Setting) -> Lowered:
    """``tau = -dt/ln|abar|``, ``omega = arg(abar)/dt``, ``c = 2 c bbar`` (``c bbar`` if real).

    The layer's input brings bias and branches. A norm on the membrane, ``k y + m``, goes into c and
    d, and m off the threshold. A ternary layer has a second population, of membrane -y; integer
    spikes have further thresholds, 1 apart. Raises :class:`LoweringError` for a mode
    that does not decay, or a threshold that overflows.
    """
    before = layer.before(stream).on_grid(setting.source)
    abar, log_abar, g = _modes(layer)
    scale, shift = layer.membrane_norm
    g, level = scale[:, None] * g, _thresholds(layer)
    # A bilinear real mode with Delta > 2/|lambda| changes sign each step: it rotates by pi.
    rotates = layer.model.complex_modes or bool((abar.real < 0).any())
    theta = level - shift
    steps = np.arange(1, integer_levels(layer.model))  # of the further thresholds, (D - 1,)
    cell = StateSpaceCell(
        tau=-setting.timestep / log_abar,
        omega=np.angle(abar) / setting.timestep if rotates else None,
        c_re=g.real,
        c_im=g.imag if rotates else None,
        d=scale * layer.array("ssm.d"),
        theta=theta,
        bias=before.affine.constant,
        branches=before.cell_branches(),
        reset=_reset(layer, rotates),
        history=History(a=layer.array("history")) if layer.model.history else None,
        multiplicity=(
            Multiplicity(further=(level[:, None] + steps) - shift[:, None]) if len(steps) else None
        ),
        differences=setting.messages == "differences",
    )
    cells = {layer.name: cell}
    if is_ternary(layer.model):
        cells[negative(layer.name)] = replace(negated(cell), theta=level + shift)
    return Lowered(before, cells, layer.level.margin)


def _reset(layer: Layer, rotates: bool) -> Reset | None:
    """What a spike takes from each mode; a mode's input weight is 1 here as it is for r.

    Of modes that rotate it is complex.
    """
    model = layer.model
    if model.reset == "none":
        return None
    if model.reset == "hard":
        return Reset(refractory=model.refractory)
    r = layer.array("ssm.r")
    if model.reset == "soma":
        others = np.zeros((model.channels, model.modes - 1))
        r = np.concatenate([others, r[:, None]], axis=1)
        return Reset(r_re=r, r_im=np.zeros_like(r), refractory=model.refractory)
    if not model.complex_modes:
        r_im = np.zeros_like(r) if rotates else None
        return Reset(r_re=r, r_im=r_im, refractory=model.refractory)
    return Reset(r_re=r[..., 0], r_im=r[..., 1], refractory=model.refractory)


def _modes(layer: Layer) -> tuple[ComplexArray, FloatArray, ComplexArray]:
    """``abar``, ``ln|abar|`` and the readout weight ``g``, (H, N) each."""
    where, model = f"{layer.where}.ssm", layer.model
    shared = np.arange(model.channels) % (model.n_ssm or model.channels)  # a channel's set of modes
    with np.errstate(over="ignore", under="ignore"):
        decay = -np.exp(layer.array("ssm.a"))[shared]  # (H, N)
        dt = np.exp(layer.array("ssm.log_dt"))  # (H,)
    leaks = np.isfinite(decay) & (decay < 0)
    if not bool(leaks.all()):
        index, value = first_bad(decay, leaks)
        raise LoweringError(
            f"{where}: mode {index} has Re(lambda) = {value}; expected a finite number below 0, "
            "so that it leaks. Retrain with a lower training.mode_rate."
        )
    b, c = layer.array("ssm.b")[shared], layer.array("ssm.c")[0]
    if model.complex_modes:
        lam = decay + 1j * layer.array("ssm.omega")[shared]
        b, c = b[..., 0] + 1j * b[..., 1], 2 * (c[..., 0] + 1j * c[..., 1])
    else:
        lam = decay + 0j
    with np.errstate(all="ignore"):  # what is no pole in float64 is refused below
        abar, bbar = discretise(lam, dt, model.discretisation)
        log_abar = log_magnitude(lam, dt, model.discretisation)
        sound = (log_abar < 0) & np.isfinite(log_abar) & (abar != 0)
        if model.quantise_decays:
            abar, log_abar = rounded_pole(abar)
            log_abar = np.maximum(log_abar, _FORGETS)  # the grid has a pole at 0, too
    if not bool(sound.all()):
        index, value = first_bad(np.abs(abar), sound)
        raise LoweringError(
            f"{where}: mode {index} has |abar| = {value}; expected between 0 and 1, both "
            "excluded, so that it leaks with a time constant. Retrain with steps Delta in a "
            "narrower range."
        )
    return abar, log_abar, c * bbar * b


def _thresholds(layer: Layer) -> FloatArray:
    """The levels, above 0 or above the learned thresholds of a ternary layer, (H,)."""
    theta = layer.level.value
    if not bool(np.isfinite(theta).all()):
        index, value = first_bad(theta, np.isfinite(theta))
        raise LoweringError(
            f"{layer.where}.log_threshold: the threshold {index} is {value}; expected a finite "
            "number. Retrain with a lower training.rate."
        )
    return theta


def negated(cell: StateSpaceCell) -> StateSpaceCell:
    """The neuron of ``-y``: ``c -> -c``, ``d -> -d``; it spikes where ``-y > theta``."""
    return replace(
        cell, c_re=-cell.c_re, c_im=None if cell.c_im is None else -cell.c_im, d=-cell.d
    )
