"""A network of standard neurons as a NIR graph, in the units of its integer weights.

Nodes have the parameters with which an exponential integrator of step ``dt`` does what the plan's
float32 neurons do (up to rounding): with ``a = exp(-dt / tau)``,

    CubaLIF:  tau_syn of a, w_in = 1 / (1 - a);  tau_mem so short that nothing is kept, r = 1
    LIF:      tau of a, r = 1 / (1 - a), v_leak = offset / (1 - a);  v_reset = 0

Delays are relays (:mod:`export.spinnaker2.relays`), since NIR's Delay node is not read there.
Source: Pedersen et al. 2024, *Neuromorphic intermediate representation*; nir 1.0.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from export.description.network import Network
from export.spinnaker2.neurons import NEURONS
from export.spinnaker2.plan import LARGEST, Spinnaker2Error, plan_network
from export.spinnaker2.relays import hops, relays
from pynn_models.spinnaker2 import CurrentParameters, LeakyParameters

_AT_ONCE = 1e-3  # of a step: the time constant of what is forgotten within one


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise Spinnaker2Error(
            f"a NIR file needs the package nir, which cannot be imported ({error}). Install it: "
            "pip install 'snn-ssm[nir]'."
        ) from error
    return nir


def _current_based(p: CurrentParameters, dt: float) -> Any:
    decay = p.decay.astype(np.float64)
    one = np.ones_like(decay)
    return _nir().CubaLIF(
        tau_syn=-dt / np.log(decay),
        tau_mem=one * dt * _AT_ONCE,
        r=one,
        v_leak=p.offset.astype(np.float64),
        v_threshold=p.threshold.astype(np.float64),
        v_reset=0 * one,
        w_in=1 / -np.expm1(np.log(decay)),
    )


def _leaky(p: LeakyParameters, dt: float) -> Any:
    decay = p.decay.astype(np.float64)
    gain = 1 / -np.expm1(np.log(decay))
    return _nir().LIF(
        tau=-dt / np.log(decay),
        r=gain,
        v_leak=p.offset * gain,
        v_threshold=p.threshold.astype(np.float64),
        v_reset=np.zeros_like(decay),
    )


def _repeating(size: int, dt: float) -> Any:
    one = np.ones(size)
    return _nir().CubaLIF(
        tau_syn=one * dt * _AT_ONCE, tau_mem=one * dt * _AT_ONCE, r=one, v_leak=0 * one,
        v_threshold=one * LARGEST / 2, v_reset=0 * one, w_in=one,
    )


_NODES: Mapping[str, Callable[[Any, float], Any]] = {"stock": _current_based, "lif": _leaky}


def check_standard(network: Network) -> None:
    """Raise :class:`Spinnaker2Error` for neurons that py-spinnaker2 and NIR do not have."""
    if NEURONS[network.cells].model is None:
        raise Spinnaker2Error(
            f"py-spinnaker2 and NIR have no {network.cells} neurons. Train with model.cells = "
            "\"stock\" or \"lif\", or only predict the network: --backend spinnaker2-software."
        )


def nir_graph(network: Network) -> Any:
    """The graph, a ``nir.NIRGraph``; ``metadata`` says what units and times are.

    An output for every layer, since logits come from all their spike counts. Raises
    :class:`Spinnaker2Error` for a network that :func:`plan_network` refuses, for native cells, and
    where nir is not installed.
    """
    check_standard(network)
    plan, nir = plan_network(network), _nir()
    dt = network.timestep * 1e-3
    source = network.source
    nodes = {source.name: nir.Input({"input": np.array([source.size])})}
    for name, parameters in plan.parameters.items():
        nodes[name] = _NODES[network.cells](parameters, dt)
        nodes[f"{name}_output"] = nir.Output({"output": np.array([len(plan.scale[name])])})
    nodes |= {name: _repeating(size, dt) for name, size in relays(network).items()}
    edges = [(name, f"{name}_output") for name in plan.parameters]
    for hop in hops(network, plan):
        weight = f"{hop.source}_to_{hop.target}"
        nodes[weight] = nir.Linear(hop.weights.T.astype(np.float64))
        edges += [(hop.source, weight), (weight, hop.target)]
    metadata = {
        "dt": dt, "steps": network.steps, "integrator": "exponential", "reset": "to v_reset",
        "weights": f"integers of +-{LARGEST}, thresholds in units of them",
        "written_by": "snn-ssm",
    }
    return nir.NIRGraph(nodes, edges, metadata=metadata)
