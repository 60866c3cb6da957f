"""A PyNN simulator by its name: its module, and the backend that fits a network."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from export.description.network import Network
from export.pynn.backend import Backend, BackendError
from export.pynn.nest import Nest, check_mpi
from export.pynn.registry import BACKENDS


def _known(name: str) -> list[Backend]:
    """The backends of one simulator, by its short name or one of its modules', in any case."""
    backends = [make() for make in BACKENDS]
    found = [b for b in backends if name.lower() in _names(b)]
    if not found:
        modules = dict.fromkeys(b.module for b in backends)
        raise BackendError(
            f"no state-space cell for the PyNN backend {name!r}; there is one for "
            f"{', '.join(modules)}."
        )
    return found


def _names(backend: Backend) -> set[str]:
    names = {backend.module, backend.module.removeprefix("pyNN."), *backend.aliases}
    return {name.lower() for name in names}


def backend_for(name: str, network: Network) -> Backend:
    """The backend of a simulator, by any of its names, that has the network's cells.

    Raises :class:`BackendError` where there is none.
    """
    found = _known(name)
    for backend in found:
        if backend.takes(network):
            return backend
    known = dict.fromkeys(b.cells for b in found)
    raise BackendError(
        f"{found[0].module} has no {network.cells} cells yet; expected a network of "
        f"{' or '.join(known)} cells. Train with model.cells = "
        f"{found[0].cells!r}, or use the backend nest."
    )


def simulator(name: str) -> ModuleType:
    """The PyNN module of a backend; raises :class:`BackendError` where it is not installed.

    PyNN warns that it cannot build an extension of its own for NEST, which only its stochastic
    synapses need, and that NEURON has no MPI: that is left out. When ``pyNN.neuron`` is first
    imported it compiles its mechanisms, which takes a minute.
    """
    module = _known(name)[0].module
    os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
    # NEST's threads that wait would spin, and take the cores from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if module == Nest.module:
        check_mpi()
    try:
        with warnings.catch_warnings(), _tools():
            ignored = "Problem running cmake|Cannot find nest-config|mpi4py not available"
            warnings.filterwarnings("ignore", ignored)
            return importlib.import_module(module)
    except (ImportError, AttributeError) as error:  # Brian 2.9 looks for what NumPy 2.4 lacks
        raise BackendError(
            f"{module} cannot be imported ({error}). "
            f"Install it: pip install 'snn-ssm[{module.removeprefix('pyNN.').lower()}]'."
        ) from error


@contextmanager
def _tools() -> Iterator[None]:
    """Where PyNN finds NEURON's compiler: beside Python, in an environment not activated, too."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([before, str(Path(sys.executable).parent)])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def setup_arguments(name: str, network: Network) -> dict[str, Any]:
    """Keyword arguments for ``sim.setup`` under which a backend runs the network exactly.

    A script that adds projections of its own may pass a larger ``max_delay``.
    """
    return backend_for(name, network).setup_arguments(network)
