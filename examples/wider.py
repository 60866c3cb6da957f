"""A trained network in a wider one, whose new channels nobody listens to yet: the same answers.

    python examples/wider.py CHECKPOINT CHANNELS OUT
    snn-ssm train TASK --config OUT/config.toml --data DATA --init OUT --out runs/wider

A matrix W of the trained network stands in ``[[W, 0], [W', R]]``: old channels hear old ones
only, new ones hear all, and the decoder hears old ones. What is new is drawn as for a training from
random weights, but that the rows W', R of a matrix are entries of W, drawn with repetition: the
threshold of a GSU's gates is a share of its largest weight, and smaller ones would all be shut.
From there on training changes everything. Growth without a change of the answers: Chen et al.,
arXiv 1511.05641 (who split channels instead).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from snn_ssm.files import whole_directory
from snn_ssm.model import build_network

LISTENING = ("mixing.weight", "mixing.gate_weight", "recurrent.weight")  # (to, from)

Array = NDArray[np.generic]


def _apart(array: Array, channels: int, new: tuple[int, ...]) -> Array:
    """Axes that grow, of k channels each, as (k, channels): those of a GLU have two parts."""
    shape: list[int] = []
    for size, grown in zip(array.shape, new, strict=True):
        shape += [size // channels, channels] if size != grown else [1, size]
    return array.reshape(shape)


def widen(old: Array, new: Array, channels: int, wide: int) -> Array:
    """``new`` with ``old`` in the place of the first ``channels`` of ``wide`` channels."""
    target = _apart(new.copy(), wide, old.shape)
    part = _apart(old, channels, new.shape)
    target[tuple(slice(size) for size in part.shape)] = part
    return target.reshape(new.shape)


def grown(checkpoint: Checkpoint, wide: int, seed: int) -> Checkpoint:
    """The wider network; raises ``ConfigError`` where no model has so many channels."""
    config = checkpoint.config
    narrow = config.model.channels
    model = dataclasses.replace(config.model, channels=wide)
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for name, tensor in build_network(model, seed).state_dict().items():
        old, new = checkpoint.arrays[name], tensor.numpy()
        if name.endswith(LISTENING):
            new = rng.choice(old.ravel(), new.shape)
            _apart(new, wide, old.shape)[:, :narrow, :, narrow:] = 0
        elif name == "decoder.weight":
            new = np.zeros_like(new)
        arrays[name] = widen(old, new, narrow, wide)
    return Checkpoint(dataclasses.replace(config, model=model), arrays)


def main() -> None:
    """Write the wider checkpoint into a new directory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("channels", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        checkpoint = load_checkpoint(args.checkpoint)
        model = checkpoint.config.model
        if model.architecture != "state-space":
            parser.error(f"{args.checkpoint} is a {model.architecture}; only state-space layers")
        if "layer" in (model.norm, model.gsu_norm) or model.activation == "ternary":
            parser.error(f"{args.checkpoint}: layer norms and ternary spikes compare all channels")
        if args.channels <= model.channels or args.seed < 0:
            parser.error(f"CHANNELS is above the checkpoint's {model.channels}, --seed at least 0")
        with whole_directory(args.out, "output directory") as directory:
            save_checkpoint(directory, grown(checkpoint, args.channels, args.seed))
    except SnnSsmError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
