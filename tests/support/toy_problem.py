"""A problem and a network small enough to train in a test: which half of a sequence is brighter."""

import numpy as np

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.tasks import Samples

STEPS = 12


def toy(count, seed):
    """Which half of the sequence is brighter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    inputs = rng.integers(0, 8, (count, 1, STEPS))
    for sample, label in zip(inputs, labels, strict=True):
        sample[:, label * STEPS // 2 : (label + 1) * STEPS // 2] += 6
    return Samples(inputs.astype(np.uint8), labels.astype(np.int64))


def config_of(**changes):
    """The configuration of a small network, with keys of the model or of training changed."""
    model = {
        "classes": 2, "channels": 8, "depth": 2, "modes": 2, "input_bits": 4,
        "input_scale": 1 / 16, "dt_min": 0.05, "dt_max": 0.5, "dropout": 0.2,
    }
    train_config = {"epochs": 3, "batch_size": 16, "rate": 2e-2, "seed": 3}
    names = set(ModelConfig.__dataclass_fields__)
    return Config(
        TaskConfig("toy", STEPS),
        ModelConfig(**(model | {k: v for k, v in changes.items() if k in names})),
        TrainingConfig(**(train_config | {k: v for k, v in changes.items() if k not in names})),
    )


TRAIN, TEST = toy(70, 0), toy(40, 1)  # the last batch of an epoch is a short one


def without_times(value):
    """Metrics with what depends on the machine's speed left out."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value
