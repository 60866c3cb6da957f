"""Which networks SpiNNaker's cells here can be."""

from __future__ import annotations

from export.description.network import Network
from export.fixed_point.registry import ARITHMETIC
from pynn_models.errors import SnnSsmError


class SpinnakerUnsupportedError(SnnSsmError):
    """A network of parts that no cell for SpiNNaker here has."""


def check_supported(network: Network) -> None:
    """Raise :class:`SpinnakerUnsupportedError` for gated inputs, graded projections and resets."""
    if network.cells not in ARITHMETIC:
        raise SpinnakerUnsupportedError(
            f"population {network.layers[0].name!r}: its neurons are {network.cells} cells, for "
            "which there is no plan of SpiNNaker's ranges here. Use the backend software or nest, "
            f"or train with model.cells = one of {', '.join(ARITHMETIC)}."
        )
    for population in network.populations:
        if population.branches is not None:
            raise SpinnakerUnsupportedError(
                f"population {population.name!r}: its gated inputs ({population.branches.kind}) "
                "need products and an exponential a step, which no cell for SpiNNaker here has. "
                "Use the backend software or nest, or train with model.mixing = \"linear\"."
            )
    for projection in network.projections:
        if projection.graded:
            raise SpinnakerUnsupportedError(
                f"{projection}: it sends membranes, and SpiNNaker here sends spikes. Use the "
                "backend software or nest, or train with model.mixing = \"linear\"."
            )
