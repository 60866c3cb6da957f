"""A torch model from the arrays of a checkpoint, and a checkpoint from a torch model."""

from __future__ import annotations

from pathlib import Path

import torch

from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import Checkpoint, expected_shapes, load_checkpoint
from snn_ssm.config import Config, ModelConfig, to_dict
from snn_ssm.model.network import build_network
from snn_ssm.model.sequence import SequenceModel

_OF_TRAINING = (
    "dropout", "surrogate", "surrogate_slope", "mode_init", "dt_min", "dt_max", "pooling_tau",
    "quantise_decays", "weight_bits",
)  # fmt: skip
"""Keys of a model that say how it is trained, or begins: one may start from another's arrays."""


class StartError(SnnSsmError):
    """A checkpoint that a run cannot start from: its model is another one."""


def load_weights(network: SequenceModel, checkpoint: Checkpoint) -> None:
    """Set the parameters and buffers of a network to a checkpoint's arrays."""
    network.load_state_dict(
        {name: torch.from_numpy(array.copy()) for name, array in checkpoint.arrays.items()}
    )


def load_network(checkpoint: Checkpoint | Path) -> SequenceModel:
    """The network of a checkpoint, in evaluation mode, float32."""
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    network = build_network(checkpoint.config.model)
    load_weights(network, checkpoint)
    return network.eval()


def to_checkpoint(network: SequenceModel, config: Config) -> Checkpoint:
    """The checkpoint of a torch model."""
    arrays = {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}
    return Checkpoint(config, arrays)


def require_same_model(model: ModelConfig, source: Path, found: ModelConfig) -> None:
    """Raise :class:`StartError` naming every key in which the model of ``source`` differs.

    Those of training alone may: dropout, surrogate gradients, how modes began (but real ones stay
    real, and complex ones complex), and to how many bits weights and decays are rounded while they
    are trained.
    """
    wanted, other = to_dict(model), to_dict(found)
    free = set(_OF_TRAINING)
    if expected_shapes(model) != expected_shapes(found):
        free.remove("mode_init")
    keys = [key for key in wanted if key not in free and wanted[key] != other[key]]
    if keys:
        differing = "; ".join(
            f"{key} is {other[key]!r} there and {wanted[key]!r} in the configuration"
            for key in keys
        )
        raise StartError(
            f"cannot start from {source}, its [model] differs: {differing}. Use what its "
            "config.toml has there."
        )
