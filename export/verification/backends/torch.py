"""The backend ``torch``: the trained model itself, step by step in float64."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.description.encodings.quantised import quantise
from export.description.network import Network
from export.lowering.cells import NEGATIVE
from export.lowering.quantised import in_integers
from export.samples.recording import Recording
from export.verification.backends.kind import Options, RunBackend, UnknownBackendError
from export.verification.contract import Runner
from export.verification.sparse_attack import AttackError, Gradient
from snn_ssm.checkpoint import Checkpoint, load_checkpoint
from snn_ssm.files import pack_arrays, sha256


def _runner(network: Network, options: Options) -> Runner:
    if options.checkpoint is None:
        raise UnknownBackendError(
            "the backend torch needs --checkpoint, which verify and report take."
        )
    return torch_runner(options.checkpoint, network)


def torch_runner(
    checkpoint: Path, network: Network, method: str = "steps", quantised: bool = True
) -> Runner:
    """The trained model itself as a runner; needs torch, which is imported here and not before.

    ``method`` as in ``snn_ssm.model.reference.run_reference``. It reads samples as the network
    does: the integers of a quantised input, unless ``quantised`` is False. Of what does not spike
    it has no membranes. Raises ``UnknownBackendError`` where torch cannot be imported.
    """
    try:
        from snn_ssm.model.reference import run_reference
    except ImportError as error:
        raise UnknownBackendError(
            f"the backend torch cannot be imported ({error}). "
            "Install it: pip install 'snn-ssm[train]'."
        ) from error
    trained, source = load_checkpoint(checkpoint), network.source
    in_units = quantised and source.kind.fractions
    if in_units:
        trained = in_integers(trained, source)
    names = [f"layer{i}" for i in range(trained.config.model.depth)]

    def run(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        if in_units:
            samples = quantise(source, samples)
        reference = run_reference(trained, samples, method=method)
        layers = zip(
            names, reference.spikes, reference.negative, reference.membranes, strict=True
        )
        spikes, traces = {}, {}
        for name, positive, negative, membrane in layers:
            spikes[name], traces[name] = positive, membrane
            if negative is not None:
                spikes[name + NEGATIVE], traces[name + NEGATIVE] = negative, -membrane
        return Recording(
            "torch",
            network.timestep,
            spikes,
            {name: traces[name] for name in membranes if name in traces},
            reference.logits,
            reference.running,
        )

    return run


def sensitivity_of(checkpoint: Checkpoint, network: Network) -> Gradient:
    """The gradient of a trained model's margins with respect to its input, for attacks.

    Raises ``UnknownBackendError`` where torch cannot be imported, :class:`AttackError` where the
    network was not exported from this model.
    """
    try:
        from snn_ssm.model.restore import load_network
        from snn_ssm.model.sensitivity import sensitivity
    except ImportError as error:
        raise UnknownBackendError(
            f"the trained model cannot be run: torch cannot be imported ({error}). "
            "Install it: pip install 'snn-ssm[train]'."
        ) from error
    if network.origin.get("model_sha256") != sha256(pack_arrays(checkpoint.arrays)):
        raise AttackError(
            "the network was not exported from this checkpoint, whose gradients would say nothing "
            "of it. Give the checkpoint that it was exported from."
        )
    trained = load_network(in_integers(checkpoint, network.source))
    return lambda samples, labels: sensitivity(trained, samples, labels).gradient


TORCH = RunBackend("torch", _runner, frozenset({"checkpoint"}))
