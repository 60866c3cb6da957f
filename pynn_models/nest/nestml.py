"""The state-space cell as a model in NESTML 9, the modelling language of NEST's community.

Nothing here runs it: NEST gets the neuron of `state_space.cpp`. It is there to be read, to be
built into a NEST by NESTML's own tools, and as a second implementation to compare with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pynn_models.cells import StateSpaceCell
from pynn_models.nest.build import NestError

_HEAD = """\
{name}: a spiking state-space neuron of {modes}

    x_n = abar_n x_n + u,  abar_n = exp(-h/tau_n) exp(i omega_n h)     h: interval, in ms
    y   = Re(sum_n c_n x_n) + d u,  spike: y > theta

{parts}
NESTML fixes the lengths of vectors: this source is for {modes} alone, and a
vector of another length, once set, gives wrong results without an error.
Written by pynn_models.nest.nestml_model.
"""


class NestmlError(NestError):
    """A cell that NESTML has no words for, or a name that it does not take."""


def nestml_model(cell: StateSpaceCell, name: str = "state_space") -> str:
    """The source of a NESTML model that computes what `cell` is, written for its shape::

        x_n[k] = abar_n x_n[k-1] + u[k],  y[k] = Re(sum_n c_n x_n[k]) + d u[k],  spike: y > theta

    with the reset, the history, the further thresholds and the branches that `cell` has, in the
    order of operations of `pynn_models.cells.StateSpaceCell`. Its values are no part of the model:
    neurons get them as parameters of the same names and units as `pynn_models.PARAMETERS`, every
    vector at its full length. first_step, period and active mean what they mean there.

    Spikes arrive at the port `spikes`, or, if there are branches, at the receptors 1 (the
    neuron's input), 2 + 2p and 3 + 2p (value and gate of branch p). NESTML divides and multiplies
    what arrives by 1000, which rounds it: sums are right to about 3e-16 of themselves. It reads a
    current one step late. A spike of multiplicity m is m events.
    Raises: `NestmlError` for branches of membranes (gsu) and for differences, which come as graded
    events that NESTML lacks, and for a name that is no identifier.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise NestmlError(
            f"the NESTML model's name is {name!r}; expected small letters, digits and _, a letter "
            "first, as it becomes the name of a file, of a C++ class and of a model in NEST."
        )
    if not isinstance(cell, StateSpaceCell):
        raise NestmlError(
            f"a {type(cell).__name__}; expected a StateSpaceCell, of which alone models are "
            "written here. Use the neuron of pynn_models.nest for it."
        )
    if cell.branches is not None and cell.branches.kind != "glu":
        raise NestmlError(
            f"branches of kind {cell.branches.kind!r}; NESTML has no graded events, by which "
            "membranes reach other neurons. Use the neuron of pynn_models.nest for it."
        )
    if cell.differences:
        raise NestmlError(
            "the cell sends differences of its counts; NESTML has no graded events, by which these "
            "reach other neurons. Send counts, or use the neuron of pynn_models.nest for it."
        )
    parts = "".join(f"    {line}\n" for line in _described(cell))
    head = _HEAD.format(name=name, modes=_modes(cell), parts=parts)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    blocks = {
        "state": _state(cell),
        "parameters": _parameters(cell),
        "internals": ["interval real = resolution() / (1 ms)"],
        "input": [*(f"{port} <- spike" for port in _ports(cell)), "current real <- continuous"],
        "output": ["spike"],
        # NESTML runs this first, then the onReceive blocks, then onCondition: a neuron that
        # advanced in `update` would see its spikes a step late.
        "update": [f"{_sum(port)} = 0" for port in _ports(cell)],
        **{f"onReceive({port})": [f"{_sum(port)} += {port} * (1 s)"] for port in _ports(cell)},
        "onCondition(true)": _step(cell),
    }
    text = "".join(f"\n    {name}:\n{_indented(lines, 8)}" for name, lines in blocks.items())
    return f"{comment}model {name}:{text}"


def nestml_parameters(cell: StateSpaceCell) -> list[dict[str, Any]]:
    """The values of `cell` for neurons of its NESTML model, one dictionary a neuron::

        nest.Create(name, cell.n_neurons).set(nestml_parameters(cell))

    Units: those of `pynn_models.PARAMETERS`; first_step, period and active stay at 0.
    """
    each = dict(_values(cell))
    return [
        {name: v[i].tolist() if np.ndim(v) else v for name, v in each.items()}
        for i in range(cell.n_neurons)
    ]


def _values(cell: StateSpaceCell) -> Iterator[tuple[str, Any]]:
    if cell.n_modes:
        yield from (("tau", cell.tau), ("c_re", cell.c_re))
        if cell.is_complex:
            yield from (("omega", cell.omega), ("c_im", cell.c_im))
    yield from (("d", cell.d), ("theta", cell.theta), ("bias", cell.bias))
    if cell.branches is not None:
        yield from (
            ("value_bias", cell.branches.value_bias),
            ("gate_bias", cell.branches.gate_bias),
        )
    if cell.reset is not None:
        taken = (("r_re", cell.reset.r_re), ("r_im", cell.reset.r_im))
        yield from ((name, value) for name, value in taken if value is not None)
        yield "refractory", cell.reset.refractory
    if cell.history is not None:
        yield "a", cell.history.a
    if cell.multiplicity is not None:
        yield "further", cell.multiplicity.further


def _modes(cell: StateSpaceCell) -> str:
    if cell.n_modes == 0:
        return "no modes, without memory"
    kind = "complex" if cell.is_complex else "real"
    return f"{cell.n_modes} {kind} mode{'s' if cell.n_modes > 1 else ''}"


def _described(cell: StateSpaceCell) -> Iterator[str]:
    reset = cell.reset
    if reset is not None and reset.is_hard:
        yield "hard reset: x_n = 0 after a spike and while the neuron rests"
    elif reset is not None and reset.r_re is not None:
        yield "soft reset: a spike takes r_n from x_n before the next step"
    if reset is not None and reset.refractory:
        yield "refractory: so many steps without a spike follow one"
    if cell.history is not None:
        yield f"history: theta rises by a_j if y > theta was true j steps ago, j <= {_lags(cell)}"
    if cell.multiplicity is not None:
        more = _further(cell)
        yield f"up to {more + 1} spikes a step, one a threshold: theta and {more} further ones"
    if cell.branches is not None:
        yield f"{cell.branches.count} gated inputs: b_p = value_p / (1 + exp(-gate_p)), added to u"


def _lags(cell: StateSpaceCell) -> int:
    return cell.history.a.shape[1] if cell.history else 0


def _further(cell: StateSpaceCell) -> int:
    return cell.multiplicity.further.shape[1] if cell.multiplicity else 0


def _branches(cell: StateSpaceCell) -> int:
    return cell.branches.count if cell.branches else 0


def _ports(cell: StateSpaceCell) -> list[str]:
    gates = [f"{part}{p}" for p in range(_branches(cell)) for part in ("value", "gate")]
    return ["spikes", *gates]


def _sum(port: str) -> str:
    return f"sum_{port}"


def _state(cell: StateSpaceCell) -> Iterator[str]:
    yield from (f"{_sum(port)} real = 0" for port in _ports(cell))
    yield from ("u real = 0", "y real = 0")
    if cell.n_modes:
        for vector in ("x_re", "a_re", *(("x_im", "a_im") if cell.is_complex else ())):
            yield f"{vector} [{cell.n_modes}] real = 0"
        yield "has_decays boolean = false"
    if cell.history is not None:
        yield f"p [{_lags(cell)}] real = 0  # p[j]: whether y > theta, j + 1 steps ago"
    if cell.reset is not None:
        yield "before real = 0  # spikes of the step before"
        yield "rest real = 0  # steps of silence that are left"


def _parameters(cell: StateSpaceCell) -> Iterator[str]:
    if cell.n_modes:
        names = ("tau", "omega", "c_re", "c_im") if cell.is_complex else ("tau", "c_re")
        for name in names:
            unit = {"tau": "  # ms", "omega": "  # rad/ms"}.get(name, "")
            yield f"{name} [{cell.n_modes}] real = {'10' if name == 'tau' else '0'}{unit}"
    yield from ("d real = 0", "theta real = 1", "bias real = 0")
    if _branches(cell):
        yield f"value_bias [{_branches(cell)}] real = 0"
        yield f"gate_bias [{_branches(cell)}] real = 0"
    if cell.reset is not None:
        if cell.reset.r_re is not None:
            yield f"r_re [{cell.n_modes}] real = 0"
        if cell.reset.r_im is not None:
            yield f"r_im [{cell.n_modes}] real = 0"
        yield "refractory integer = 0  # steps"
    if cell.history is not None:
        yield f"a [{_lags(cell)}] real = 0"
    if cell.multiplicity is not None:
        yield f"further [{_further(cell)}] real = inf"
    yield "first_step integer = 0  # the step of the simulation that is at_step = 0"
    yield "period integer = 0  # all state is 0 again every so many steps; 0: never"
    yield "active integer = 0  # deaf and silent for the rest of a period; 0: never"


def _step(cell: StateSpaceCell) -> Iterator[str]:
    """One step, in the order that the contract gives."""
    yield "at_step integer = steps(t) - 1 - first_step"
    yield "n integer = 0"
    if cell.n_modes:
        yield "if not has_decays:"
        yield from _block(_decays(cell))
    yield "if at_step >= 0 and (active == 0 or at_step % period < active):"
    yield from _block(_active(cell))


def _decays(cell: StateSpaceCell) -> Iterator[str]:
    yield "has_decays = true"
    if cell.is_complex:
        yield from _each(
            cell.n_modes,
            "a_re[n] = exp(-interval / tau[n]) * cos(omega[n] * interval)",
            "a_im[n] = exp(-interval / tau[n]) * sin(omega[n] * interval)",
        )
    else:
        yield from _each(cell.n_modes, "a_re[n] = exp(-interval / tau[n])")


def _active(cell: StateSpaceCell) -> Iterator[str]:
    reset, hard = cell.reset, cell.reset is not None and cell.reset.is_hard
    zeros = ["x_re[n] = 0", *(["x_im[n] = 0"] if cell.is_complex else [])]
    yield "if period > 0 and at_step % period == 0:"
    yield from _block(_forget(cell, zeros))
    yield "u = sum_spikes + current + bias"
    for p in range(_branches(cell)):
        value, gate = f"(sum_value{p} + value_bias[{p}])", f"(sum_gate{p} + gate_bias[{p}])"
        yield f"u += {value} / (1 + exp(-{gate}))"
    if hard and cell.n_modes:
        yield "if before > 0:"
        yield from _block(_each(cell.n_modes, *zeros))
    elif reset is not None and reset.r_re is not None:
        taken = ["x_re[n] -= r_re[n] * before"]
        taken += ["x_im[n] -= r_im[n] * before"] if reset.r_im is not None else []
        yield from _each(cell.n_modes, *taken)
    yield "y = 0"
    if cell.n_modes:
        yield from _each(cell.n_modes, *_mode(cell))
    yield "y += d * u"
    if hard:
        yield "if rest > 0:"
        yield from _block([*(_each(cell.n_modes, *zeros) if cell.n_modes else ()), "y = d * u"])
    yield from _fire(cell)


def _forget(cell: StateSpaceCell, zeros: Iterable[str]) -> Iterator[str]:
    if cell.n_modes:
        yield from _each(cell.n_modes, *zeros)
    if cell.history is not None:
        yield from _each(_lags(cell), "p[n] = 0")
    if cell.reset is not None:
        yield from ("before = 0", "rest = 0")
    if not (cell.n_modes or cell.history or cell.reset):
        yield "n = 0  # there is no state"


def _mode(cell: StateSpaceCell) -> list[str]:
    if not cell.is_complex:
        return ["x_re[n] = a_re[n] * x_re[n] + u", "y += c_re[n] * x_re[n]"]
    return [
        "old real = x_re[n]",
        "x_re[n] = (a_re[n] * old - a_im[n] * x_im[n]) + u",
        "x_im[n] = a_re[n] * x_im[n] + a_im[n] * old",
        "y += c_re[n] * x_re[n] - c_im[n] * x_im[n]",
    ]


def _fire(cell: StateSpaceCell) -> Iterator[str]:
    level = ""
    if cell.history is not None:
        yield "raised real = 0"
        yield from _each(_lags(cell), "raised += a[n] * p[n]")
        level = " + raised"
    yield "fired integer = 0"
    yield f"if y > theta{level}:"
    yield from _block(["fired = 1"])
    if cell.multiplicity is not None:
        above = [f"if y > further[n]{level}:", *_block(["fired += 1"])]
        yield from _each(_further(cell), *above)
    if cell.reset is not None:
        yield "if rest > 0:"
        yield from _block(["fired = 0"])
    if cell.history is not None:
        yield f"n = {_lags(cell) - 1}"
        yield "while n > 0:"
        yield from _block(["p[n] = p[n - 1]", "n -= 1"])
        yield "p[0] = 0"
        yield "if y > theta:"
        yield from _block(["p[0] = 1"])
    if cell.reset is not None:
        yield "before = fired"
        yield "if fired > 0:"
        yield from _block(["rest = refractory"])
        yield "elif rest > 0:"
        yield from _block(["rest -= 1"])
    yield "while fired > 0:"
    yield from _block(["emit_spike()", "fired -= 1"])


def _each(length: int, *lines: str) -> Iterator[str]:
    yield "n = 0"
    yield f"while n < {length}:"
    yield from _block([*lines, "n += 1"])


def _block(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _indented(lines: Iterable[str], depth: int) -> str:
    return "".join(f"{' ' * depth}{line}\n" for line in lines)
