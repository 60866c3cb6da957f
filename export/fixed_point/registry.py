"""The kinds of network that SpiNNaker's arithmetic can hold: one file each, registered here."""

from __future__ import annotations

from export.description.cells import families
from export.description.network import Network
from export.fixed_point.egru import EGRU
from export.fixed_point.gated import GATED
from export.fixed_point.lif import LIF
from export.fixed_point.native import NATIVE
from export.fixed_point.plan import Arithmetic
from export.fixed_point.stock import STOCK
from pynn_models.errors import SnnSsmError
from pynn_models.registry import Registry

ARITHMETIC: Registry[Arithmetic] = Registry("SpiNNaker arithmetic", NATIVE, GATED, EGRU, STOCK, LIF)


class SpinnakerUnsupportedError(SnnSsmError):
    """A network of cells that there is no integer cell for SpiNNaker of here."""


def arithmetic_of(network: Network) -> Arithmetic:
    """The arithmetic of a network's populations.

    Raises :class:`SpinnakerUnsupportedError` for one of cells that there is none for.
    """
    for found in ARITHMETIC.values():
        if found.takes(network):
            return found
    raise SpinnakerUnsupportedError(
        f"population {network.layers[0].name!r}: its neurons are {network.cells} cells, for "
        "which there is no plan of SpiNNaker's ranges here. Use the backend software or nest, "
        f"or train with model.cells = one of {', '.join(n for n in ARITHMETIC if n in families())}."
    )
