"""Random checkpoints and networks, and samples that fit them."""

import numpy as np

from export.description.network import Network, Population, Projection, Readout, Source
from pynn_models import StateSpaceCell
from snn_ssm.checkpoint import Checkpoint, expected_shapes
from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig

# Where a block's norm stands, as changes to a checkpoint's model.
NORMS = {"pre": {"prenorm": True}, "post": {"prenorm": False}, "none": {"norm": "none"}}



def _value(leaf, shape, model, rng):
    """A plausible trained value of one array: nothing is zero, one or symmetric by accident."""
    if leaf == "a":
        return np.log(0.5) + rng.normal(size=shape) * 0.4
    if leaf == "omega":
        return np.pi * np.arange(shape[1]) + rng.normal(size=shape) * 0.4
    if leaf == "log_dt":
        return rng.uniform(np.log(model.dt_min), np.log(model.dt_max), shape)
    if leaf == "b":
        return rng.normal(size=shape) * 0.3 + (1.0 if not model.complex_modes else (1.0, 0.0))
    if leaf == "num_batches_tracked":
        return np.array(200)
    if leaf == "running_var":
        return np.exp(rng.normal(size=shape))
    if leaf == "norm.weight":
        return rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
    if leaf == "position":
        return rng.normal(size=shape) * 1.5
    if leaf == "log_threshold":
        return rng.normal(size=shape) * 0.4 - 1.0
    return rng.normal(size=shape) * (0.7 if len(shape) > 1 else 0.4)


def checkpoint_of(seed=0, steps=24, **changes):
    """A random checkpoint as training might leave it, its batch norms with statistics of their own.

    6 channels, 2 layers, 4 modes, 3 classes and a 4-bit input, unless ``changes`` says otherwise.
    """
    rng = np.random.default_rng(seed)
    values = {
        "inputs": 1,
        "classes": 3,
        "input_bits": 4,
        "input_scale": 1.0 / 8.0,
        "channels": 6,
        "depth": 2,
        "modes": 4,
        "dt_min": 0.02,
        "dt_max": 0.6,
    }
    model = ModelConfig(**(values | changes))
    arrays = {}
    for name, shape in expected_shapes(model).items():
        leaf = "norm.weight" if name.endswith("norm.weight") else name.rsplit(".", 1)[-1]
        kind = np.int64 if leaf == "num_batches_tracked" else np.float32
        arrays[name] = np.asarray(_value(leaf, shape, model, rng), dtype=kind)
    return Checkpoint(Config(TaskConfig("smnist", steps), model, TrainingConfig()), arrays)


def with_array(checkpoint, name, change):
    """The checkpoint with ``change`` applied to a copy of one array."""
    array = np.array(checkpoint.arrays[name])
    change(array)
    return Checkpoint(checkpoint.config, {**checkpoint.arrays, name: array})


def samples_of(checkpoint, count=3, seed=0):
    """Random integer samples (B, C, L), or symbols (B, 1, L), that fit the checkpoint's input."""
    model, steps = checkpoint.config.model, checkpoint.config.task.steps
    rng = np.random.default_rng((seed, 1))
    if model.encoder == "embedding":
        return rng.integers(0, model.inputs, (count, 1, steps)).astype(np.uint16)
    return rng.integers(0, 2**model.input_bits, (count, model.inputs, steps)).astype(np.uint16)


def network_of(seed=0, *, encoding="bits", layers=2, delay=1, timestep=1.0, steps=12, tied=True):
    """A random network: mixed cells and sizes, skip projections (some left out), dyadic weights.

    ``tied``: a latency of ``delay`` steps a layer, else random ones.
    """
    rng = np.random.default_rng(seed)
    source = Source("input", encoding, int(rng.integers(1, 4)), int(rng.integers(1, 5)))
    latency, sizes, populations = {"input": 0}, {"input": source.size}, []
    for i in range(layers + 1):
        name = f"layer{i}" if i < layers else "readout"
        latency[name] = max(latency.values()) + (delay if tied else int(rng.integers(1, 4)))
        sizes[name] = int(rng.integers(1, 6))
        cell = cell_of(rng, sizes[name], silent=i == layers)
        populations.append(Population(name, cell, latency[name]))
    projections = []
    names = list(sizes)
    for j, target in enumerate(names):
        for i, pre in enumerate(names[:j]):
            if i < j - 1 and rng.random() < 0.3:
                continue
            weights = rng.integers(-(2**10), 2**10, (sizes[pre], sizes[target])) / 2.0**10
            projections.append(Projection(pre, target, weights, latency[target] - latency[pre]))
    pooling = str(rng.choice(["mean", "last"]))
    return Network(
        timestep,
        steps,
        source,
        tuple(populations),
        tuple(projections),
        Readout("readout", pooling),
        {"seed": seed, "words": ["a", 1.5, None]},
    )


def cell_of(rng, size, silent=False):
    """A random cell of complex, real or no modes; ``silent``: it never spikes."""
    modes = (size, int(rng.integers(0, 4)))
    rotates = rng.random() < 0.5
    tau = rng.uniform(0.5, 40, modes)
    tau[rng.random(modes) < 0.1] = np.inf
    return StateSpaceCell(
        tau=tau,
        omega=rng.uniform(-3, 3, modes) if rotates else None,
        c_re=rng.normal(size=modes),
        c_im=rng.normal(size=modes) if rotates else None,
        d=rng.normal(size=size),
        theta=np.full(size, np.inf) if silent else rng.normal(size=size) * 0.3,
        bias=rng.integers(-(2**10), 2**10, size) / 2.0**10,
    )


def network_samples(network, count=3, seed=0):
    """Random integer samples (B, C, L) that fit the network's input."""
    rng = np.random.default_rng((seed, 2))
    shape = (count, network.source.channels, network.steps)
    return rng.integers(0, 2**network.source.bits, shape)
