"""Compiled operators for the CPU: the same functions as plain torch, which stays the definition.

:mod:`library` compiles the C++ beside it on first use and keeps it as NEST's neuron is kept; where
that cannot be done, everything goes by plain torch. :func:`usable` says whether a tensor can be
given to them. No OpenMP, no torch header, no fast-math.
"""

from snn_ssm.model.operators.library import VARIABLE, call, usable

__all__ = ["VARIABLE", "call", "usable"]
