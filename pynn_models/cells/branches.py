"""Gated inputs: products of two sums of what arrives at a neuron."""

from __future__ import annotations

from dataclasses import dataclass

from pynn_models.branches import BRANCHES
from pynn_models.cells.checks import CellParameterError, FloatArray, check_values, frozen_copy


@dataclass(frozen=True, eq=False, kw_only=True)
class Branches:
    """P gated inputs of H neurons, each the product of two sums of what arrives at step k::

        v_p[k] = value_bias_p + weighted spikes and graded input at receptor value p
        g_p[k] = gate_bias_p + weighted spikes and graded input at receptor gate p
        glu:  b_p[k] = v_p[k] / (1 + exp(-g_p[k]))
        gsu:  b_p[k] = gain_p z (1 + erf(z / sqrt(2))) / 2,  z = v_p[k] g_p[k] + shift_p

    and the sum over p, ascending, is added to the neuron's u[k]. exp and erf are the C library's.

    Shapes: value_bias, gate_bias, shift, gain (H, P), P >= 1; shift and gain are 0 and 1 for glu.
    Units: dimensionless. Values: finite. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    Source: Stan & Rhodes, arXiv 2401.00955, section 2, with the norms folded.
    """

    kind: str
    value_bias: FloatArray
    gate_bias: FloatArray
    shift: FloatArray
    gain: FloatArray

    def __post_init__(self) -> None:
        if self.kind not in BRANCHES:
            raise CellParameterError(
                f"Branches: kind is {self.kind!r}; use one of {', '.join(BRANCHES)}."
            )
        for name in ("value_bias", "gate_bias", "shift", "gain"):
            value = frozen_copy(name, getattr(self, name))
            check_values(name, value)
            object.__setattr__(self, name, value)
            if value.ndim != 2 or 0 in value.shape or value.shape != self.value_bias.shape:
                raise CellParameterError(
                    f"Branches: {name} has shape {value.shape}, expected (H, P) as value_bias, "
                    f"{self.value_bias.shape}, of at least one neuron and one branch. "
                    "Leave branches out of a cell that has none."
                )
        fault = BRANCHES[self.kind].fault(self)
        if fault:
            raise CellParameterError(f"Branches: {fault}")

    @property
    def count(self) -> int:
        """P, the number of branches."""
        return int(self.value_bias.shape[1])
