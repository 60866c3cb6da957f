"""Model and training configuration: frozen dataclasses <-> TOML. Imports no torch.

Three tables: ``[task]`` (what is learned), ``[model]`` (the network) and ``[training]`` (how). A
key has a type and a range, checked when the dataclass is made: what exists is valid.
"""

from snn_ssm.config.checks import ConfigError
from snn_ssm.config.model import (
    ACTIVATIONS,
    ARCHITECTURES,
    DELAYS_PER,
    DISCRETISATIONS,
    ENCODERS,
    MESSAGES,
    MODE_INITS,
    NORMS,
    POOLINGS,
    RESETS,
    SPIKES,
    SPIKING,
    SURROGATES,
    ModelConfig,
)
from snn_ssm.config.task import ENCODE, POLARITIES, TaskConfig
from snn_ssm.config.text import dumps, from_dict, load, loads, neighbours, to_dict
from snn_ssm.config.training import LOSSES, PRECISIONS, SELECTIONS, TrainingConfig
from snn_ssm.config.whole import Config

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "DELAYS_PER",
    "DISCRETISATIONS",
    "ENCODE",
    "ENCODERS",
    "LOSSES",
    "MESSAGES",
    "MODE_INITS",
    "NORMS",
    "POLARITIES",
    "POOLINGS",
    "PRECISIONS",
    "RESETS",
    "SELECTIONS",
    "SPIKES",
    "SPIKING",
    "SURROGATES",
    "Config",
    "ConfigError",
    "ModelConfig",
    "TaskConfig",
    "TrainingConfig",
    "dumps",
    "from_dict",
    "load",
    "loads",
    "neighbours",
    "to_dict",
]
