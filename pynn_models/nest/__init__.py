"""The NEST backend: the C++ models, their build, the PyNN cell type, projections.

Importing this package imports neither NEST nor PyNN; asking it for a name that needs them does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pynn_models.native_code import (
    CacheNotPrivateError,
    CacheNotWritableError,
    CompilationError,
    CompilerNotFoundError,
)
from pynn_models.nest.build import (
    DIFFERENCE_SYNAPSE_NAME,
    EGRU_NAME,
    GRADED_SYNAPSE_NAME,
    MODEL_NAME,
    ModuleLoadError,
    NestError,
    NestNotInstalledError,
    build_module,
    cache_directory,
    has_mpi,
    install,
)
from pynn_models.nest.nestml import NestmlError, nestml_model, nestml_parameters

if TYPE_CHECKING:
    from pynn_models.nest.egru import Egru, egru_cell_type
    from pynn_models.nest.neuron import StateSpace, cell_type
    from pynn_models.nest.population import Population
    from pynn_models.nest.projection import (
        DenseConnector,
        SynapsesConnector,
        inject_currents,
        projection_weights,
    )
    from pynn_models.nest.synapses import (
        DifferenceSynapse,
        GradedSynapse,
        ProjectionError,
        RawStaticSynapse,
    )

__all__ = [
    "DIFFERENCE_SYNAPSE_NAME",
    "EGRU_NAME",
    "GRADED_SYNAPSE_NAME",
    "MODEL_NAME",
    "CacheNotPrivateError",
    "CacheNotWritableError",
    "CompilationError",
    "CompilerNotFoundError",
    "DenseConnector",
    "DifferenceSynapse",
    "Egru",
    "GradedSynapse",
    "ModuleLoadError",
    "NestError",
    "NestNotInstalledError",
    "NestmlError",
    "Population",
    "ProjectionError",
    "RawStaticSynapse",
    "StateSpace",
    "SynapsesConnector",
    "build_module",
    "cache_directory",
    "cell_type",
    "egru_cell_type",
    "has_mpi",
    "inject_currents",
    "install",
    "nestml_model",
    "nestml_parameters",
    "projection_weights",
]

_LAZY = {
    "StateSpace": "neuron",
    "cell_type": "neuron",
    "Egru": "egru",
    "egru_cell_type": "egru",
    "DenseConnector": "projection",
    "DifferenceSynapse": "synapses",
    "GradedSynapse": "synapses",
    "Population": "population",
    "ProjectionError": "synapses",
    "RawStaticSynapse": "synapses",
    "SynapsesConnector": "projection",
    "inject_currents": "projection",
    "projection_weights": "projection",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_LAZY[name]}")
    except ImportError as error:
        raise NestNotInstalledError(
            f"{__name__}.{name} cannot be used ({error}); expected nest-simulator 3.10 and "
            "PyNN 0.13. Install them: pip install 'snn-ssm[nest]'."
        ) from error
    return getattr(module, name)
