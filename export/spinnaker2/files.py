"""A network as files for SpiNNaker 2's public software: a NIR graph, arrays, and a script."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from export.description.network import Network
from export.spinnaker2.graph import check_standard, nir_graph
from export.spinnaker2.neurons import NEURONS
from export.spinnaker2.plan import LARGEST, Spinnaker2Error, plan_network
from export.spinnaker2.relays import hops, relays
from snn_ssm.files import write_atomic

GRAPH, ARRAYS, SCRIPT = "spinnaker2.nir", "spinnaker2.npz", "spinnaker2_run.py"
_POOLINGS = ("mean", "last")
FILES = (GRAPH, ARRAYS, SCRIPT)


def arrays(network: Network) -> dict[str, Any]:
    """What the script reads: for each population its parameters, for each hop its weights.

    ``populations`` and ``models``: names, and py-spinnaker2's neurons; ``NAME/PARAMETER``: (H,);
    ``hops``: pairs of names; ``weights/i``: (pre, post) int8 of hop i; ``readout/NAME`` and
    ``readout/bias``: what pooled spikes are multiplied by, and what is added; ``fraction``: of the
    units of a quantised input.
    """
    check_standard(network)
    plan, neurons = plan_network(network), NEURONS[network.cells]
    standard = NEURONS["stock"]
    found: dict[str, Any] = {
        "steps": np.array(network.steps), "input": np.array(network.source.name),
        "input_size": np.array(network.source.size),
        "channels": np.array(network.source.channels),
        "limit": np.array(network.source.kind.values(network.source).limit),
        "bits": np.array(network.source.bits), "encoding": np.array(network.source.encoding),
    }
    if network.source.kind.fractions:
        found["fraction"] = np.array(network.source.fraction)
    models = {}
    for name, parameters in plan.parameters.items():
        models[name] = neurons.model
        found |= {f"{name}/{key}": v for key, v in neurons.settings(parameters).items()}
    for name, size in relays(network).items():
        models[name] = standard.model
        zero = np.zeros(size, np.float32)
        found |= {
            f"{name}/threshold": np.full(size, LARGEST / 2, np.float32),
            f"{name}/alpha_decay": zero, f"{name}/exc_decay": zero, f"{name}/inh_decay": zero,
            f"{name}/i_offset": zero,
        }
    connected = hops(network, plan)
    found |= {
        "populations": np.array(list(models)), "models": np.array(list(models.values())),
        "layers": np.array(list(plan.parameters)),
        "latencies": np.array([network.population(n).latency for n in plan.parameters]),
        "hops": np.array([(hop.source, hop.target) for hop in connected]),
    }
    found |= {f"weights/{i}": hop.weights for i, hop in enumerate(connected)}
    readout = network.readout.population
    found |= {f"readout/{p.source}": p.weights for p in network.incoming(readout)}
    bias, pooling = network.population(readout).cell.bias, network.readout.pooling
    return found | {"readout/bias": bias, "pooling": np.array(pooling)}


def check_readout(network: Network) -> None:
    """Raise :class:`Spinnaker2Error` for answers that the script does not give."""
    readout = network.readout
    if readout.output != "classes" or readout.pooling not in _POOLINGS:
        raise Spinnaker2Error(
            f"the script answers with a class a sample, by {' or '.join(_POOLINGS)} pooling; this "
            f"network answers {readout.output}{' at each step' if readout.each_step else ''}, by "
            f"{readout.pooling} pooling. Export without --target, or train for that."
        )


def save_target(network: Network, directory: Path) -> None:
    """Write ``FILES`` into an existing directory.

    Raises ``Spinnaker2Error`` as :func:`nir_graph` and :func:`check_readout`, before anything is
    written.
    """
    check_readout(network)
    graph, content = nir_graph(network), io.BytesIO()
    np.savez_compressed(content, **arrays(network))
    import nir

    file = io.BytesIO()
    nir.write(file, graph)
    script = resources.files(__package__).joinpath("template", SCRIPT).read_bytes()
    for name, data in ((GRAPH, file.getvalue()), (ARRAYS, content.getvalue()), (SCRIPT, script)):
        write_atomic(Path(directory) / name, data)
