"""Random checkpoints of everything that lowers, at random and adversarial scales, and ties."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from export.description.network import Network, NetworkError
from export.lowering.lowerable import GATED
from export.lowering.network import lower
from snn_ssm.checkpoint import Checkpoint
from support.random_networks import NORMS, checkpoint_of

SCALES = (1e-17, 1e-12, 1e-6, 1.0, 1e6, 1e12, 1e17)
TIES = ("dead", "mute", "opposite", "leaky", "integer")


class Case(NamedTuple):
    """A checkpoint, its network, samples that fit, and what ties it was made for, if any.

    ``unequal``: sources of other scales than others, of the same neuron.
    """

    checkpoint: Checkpoint
    network: Network
    samples: np.ndarray
    tie: str
    unequal: bool
    words: str


def _model(rng, tie):
    """The keys of a model; a tie asks for some of them."""
    cells = str(rng.choice(["native", "native", "native", "stock", "lif"]))
    cells = {"mute": "native", "opposite": "native", "leaky": "lif", "integer": "lif"}.get(
        tie, cells
    )
    model = {"cells": cells, "channels": int(rng.integers(2, 9)), "depth": int(rng.integers(1, 7))}
    model |= NORMS[str(rng.choice(sorted(NORMS)))]
    if cells == "stock":
        model |= {"mode_init": "s4d-real", "modes": 1, "norm": "batch", "prenorm": True}
    if cells == "native":
        model["modes"] = int(rng.integers(1, 5))
        model["mode_init"] = str(rng.choice(["s4d-lin", "s4d-real"]))
        model["discretisation"] = str(rng.choice(["zoh", "bilinear"]))
        if model["discretisation"] == "zoh":
            model["quantise_decays"] = bool(rng.random() < 0.3)
        if rng.random() < 0.2:
            model["n_ssm"] = 1
        model["mixing"] = str(rng.choice(["linear", "linear", "glu", "gsu"]))
        if model["mixing"] == "gsu" or rng.random() < 0.2:
            model["activation"] = "ternary-constant"
        if model["mixing"] == "gsu":
            model["gsu_norm"] = str(rng.choice(["batch", "none"]))
            model["gsu_weights"] = int(rng.integers(1, 3))
    if cells == "native" and rng.random() < 0.3:
        model["membrane_norm"] = True
    if cells == "native" and "activation" not in model and rng.random() < 0.6:
        model |= _part(rng, model)
    if cells != "stock" and not model.get("membrane_norm") and rng.random() < 0.4:
        model["recurrent"] = True
        model["recurrent_delays"] = int(rng.choice([0, 0, 3]))
    if model.get("mixing", "linear") == "linear" and rng.random() < 0.3:
        model["delays"] = int(rng.integers(1, 9))
    model["delay_per"] = str(rng.choice(["synapse", "axon"]))
    model["weight_bits"] = int(rng.choice([0, 0, 0, 4, 8]))
    model["pooling"] = str(rng.choice(["mean", "last"]))
    if tie == "dead":
        model |= {"norm": "batch", "prenorm": True}
    if tie == "opposite":
        model |= {"modes": int(rng.integers(3, 9)), "activation": "heaviside"}
        model["mixing"] = "linear" if model["mixing"] == "gsu" else model["mixing"]
    if tie in ("leaky", "integer", "dead"):
        model |= {"recurrent": False, "recurrent_delays": 0}
    if tie in ("leaky", "integer"):
        model |= {"norm": "none", "depth": 1 if tie == "leaky" else int(rng.integers(2, 7))}
    if tie == "integer":
        model["weight_bits"] = int(rng.choice([2, 3, 4]))
    return model


def _event_gated(model):
    """Those of the keys that event-based gated units have."""
    kept = ("channels", "depth", "norm", "prenorm", "weight_bits", "pooling", "delay_per")
    return {"cells": "egru"} | {key: model[key] for key in kept if key in model}


def _part(rng, model):
    """The keys of integer spikes, of a reset or of a history: what a plain neuron may have too."""
    part = str(rng.choice(["integer", "reset", "history"]))
    if part == "integer":
        return {"activation": "integer", "spike_levels": int(rng.integers(1, 6))}
    if part == "history":
        return {"history": int(rng.integers(1, 9))}
    reset, refractory = str(rng.choice(["soft", "hard", "soma"])), int(rng.choice([0, 1, 3]))
    if reset == "soma" and (model["modes"] == 1 or model["mode_init"] == "s4d-real"):
        reset = "soft"
    history = int(rng.choice([0, 0, 2]))
    return {
        "reset": reset, "refractory": refractory, "history": history, "membrane_norm": False,
    }  # fmt: skip


def _for_chip(rng, model):
    """The keys changed to those of native neurons, most of them with a reset or a history."""
    if model["cells"] != "native":
        model = {"cells": "native", "channels": model["channels"], "depth": model["depth"]}
        model |= NORMS[str(rng.choice(sorted(NORMS)))]
        model |= {"modes": int(rng.integers(1, 5))}
        model["mode_init"] = str(rng.choice(["s4d-lin", "s4d-real"]))
    if rng.random() < 0.8:
        if model.get("mixing") == "gsu":
            model["mixing"] = "linear"
        model = {k: v for k, v in model.items() if k not in ("activation", "spike_levels")}
        model |= {"recurrent": False, "recurrent_delays": 0}
        model |= {"reset": "none", "refractory": 0, "history": 0}
        part = _part(rng, model)
        while "activation" in part:
            part = _part(rng, model)
        model |= part
    return model


def _input(rng, cells, tie, kinds=("bits", "current", "token", "spikes", "real")):
    """The keys of the input, its encoding, and the magnitude of real values (0: integers)."""
    kind = str(rng.choice(kinds))
    if tie == "leaky" or (tie == "opposite" and kind == "real"):  # of which no bound is known
        kind = str(rng.choice(["bits", "current"]))
    if kind == "token" and cells == "stock":
        kind = "bits"
    if kind == "token":
        return {"encoder": "embedding", "inputs": int(rng.integers(2, 9)), "input_bits": 0}, kind, 0
    if kind == "spikes":
        return {"inputs": int(rng.integers(1, 9)), "input_bits": 1, "input_scale": 1.0}, kind, 0
    channels = int(rng.choice([1, 2, 3, 32]))
    if kind == "real":
        magnitude = 10.0 ** rng.uniform(-2, 10)
        scale = 1 / magnitude if rng.random() < 0.5 else 1.0
        return {"inputs": channels, "input_bits": 0, "input_scale": scale}, "current", magnitude
    bits = int(rng.choice([1, 4, 8, 16]))
    if tie == "leaky":
        channels, bits = 1, int(rng.choice([4, 8, 16]))
    return {"inputs": channels, "input_bits": bits, "input_scale": 1 / (2**bits - 1)}, kind, 0


def _scale_channels(rng, arrays, model):
    """Some channels at other scales: their norms', or all that their stream sums where none is."""
    count = model.channels
    scale = np.where(rng.random(count) < 0.5, rng.choice(SCALES, count), 1.0)
    scale = np.where(rng.random(count) < 0.2, 10.0 ** rng.uniform(-17, 17, count), scale)
    for i in range(model.depth):
        names = [f"blocks.{i}.norm.weight", f"blocks.{i}.norm.bias"]
        if model.norm == "none":
            names = [f"blocks.{i}.mixing.weight", f"blocks.{i}.mixing.bias"]
        for name in names:
            array = np.array(arrays[name])
            factor = scale.reshape(-1, *[1] * (array.ndim - 1))
            array[: model.channels] *= factor.astype(np.float32)
            arrays[name] = array
    if model.norm == "none" and model.encoder == "linear":
        arrays["encoder.weight"] = arrays["encoder.weight"] * scale[:, None].astype(np.float32)
        arrays["encoder.bias"] = arrays["encoder.bias"] * scale.astype(np.float32)


def _scale_sources(rng, arrays, model):
    """Some sources at other scales: of the input, and of a layer's spikes."""
    inputs = model.inputs
    names = [("encoder.weight", inputs, 0 if model.encoder == "embedding" else 1)]
    names += [(f"blocks.{i}.mixing.weight", model.channels, 1) for i in range(model.depth)]
    for name, count, axis in names:
        scale = np.where(rng.random(count) < 0.4, rng.choice(SCALES, count), 1.0)
        shape = (-1, 1) if axis == 0 else (1, -1)
        arrays[name] = arrays[name] * scale.astype(np.float32).reshape(shape)


def _tie(rng, arrays, model, tie):
    """Changes the arrays such that membranes are equal to their thresholds."""
    h = int(rng.integers(model.channels))
    if tie == "dead":  # the stream is its mean in every layer
        if model.encoder == "embedding":
            arrays["encoder.weight"][:, h] = arrays["encoder.weight"][0, h]
            constant = arrays["encoder.weight"][0, h]
        else:
            arrays["encoder.weight"][h] = 0
            constant = arrays["encoder.bias"][h] if "encoder.bias" in arrays else np.float32(0)
        for i in range(model.depth):
            rows = [h, h + model.channels] if model.mixing == "glu" else [h]
            for row in rows[:1] if model.mixing == "glu" else rows:
                arrays[f"blocks.{i}.mixing.weight"][row] = 0
                if f"blocks.{i}.mixing.bias" in arrays:
                    arrays[f"blocks.{i}.mixing.bias"][row] = 0
            if model.mixing == "gsu" and model.gsu_norm == "batch":
                for leaf in ("bias", "running_mean"):
                    arrays[f"blocks.{i}.mixing.norm.{leaf}"][h] = 0
            arrays[f"blocks.{i}.norm.running_mean"][h] = constant
            arrays[f"blocks.{i}.norm.bias"][h] = 0
    for i in range(model.depth):
        ssm = f"blocks.{i}.ssm"
        if f"{ssm}.theta" in arrays and tie:
            arrays[f"{ssm}.theta"][h] = 0
        if tie == "mute":
            arrays[f"{ssm}.c"][0, h] = 0
            arrays[f"{ssm}.d"][h] = 0
        if tie == "opposite":  # pairs of modes cancel, whatever the input
            arrays[f"{ssm}.d"][h] = 0
            shared = h % (model.n_ssm or model.channels)
            order = rng.permutation(model.modes)
            for leaf, array in arrays.items():
                if leaf.startswith(ssm) and leaf.rsplit(".")[-1] in ("a", "omega", "b"):
                    array[shared, order[1::2]] = array[shared, order[::2][: len(order[1::2])]]
            c = arrays[f"{ssm}.c"]
            c[0, h, order[1::2]] = -c[0, h, order[::2][: len(order[1::2])]]
            if len(order) % 2:
                c[0, h, order[-1]] = 0
        if tie == "integer":  # weights are multiples of one number, whose sums reach 1
            arrays[f"blocks.{i}.mixing.bias"][:] = 0
            weight = arrays[f"blocks.{i}.mixing.weight"]
            most = 2 ** (model.weight_bits - 1) - 1
            weight[0, 0] = np.abs(weight).max()
            weight *= np.float32(most / np.abs(weight).max())
    if tie == "integer" and model.encoder == "linear":
        arrays["encoder.bias"][:] = 0
    if tie == "leaky":
        arrays["encoder.weight"][:] = 1
        arrays["encoder.bias"][:] = 0


def draw(seed, chip=False):
    """A :class:`Case` of a seed; ``chip``: one for SpiNNaker's native cells, at the scales that
    their integers can hold."""
    rng = np.random.default_rng((seed, 7, 1) if chip else (seed, 7))
    tie = str(rng.choice(TIES)) if rng.random() < 0.25 and not chip else ""
    model = _model(rng, tie)
    plain = not {"history", "reset", "spike_levels"} & set(model)  # of the others there are few
    gated = plain and not (chip or tie) and np.random.default_rng((seed, 9)).random() < 0.2
    if gated:
        model = _event_gated(model)
    if chip:
        model = _for_chip(rng, model)
        source, encoding, magnitude = _input(rng, "native", tie, ("bits", "token", "spikes"))
    else:
        source, encoding, magnitude = _input(rng, model["cells"], tie)
    steps, delay = int(rng.integers(10, 50)), int(rng.integers(1, 4))
    changes = model | source
    p = 0
    if gated and magnitude:  # saturated gates tell signs only, and rounding turns those of sums
        changes["input_scale"] = 1 / magnitude
    if tie == "leaky":
        p = int(rng.integers(2, min(2 ** source["input_bits"], 2000)))
        changes["input_scale"] = 1 / p
    others = np.random.default_rng((seed, 8))
    if changes.get("activation") == "integer" and not chip:
        changes["messages"] = str(others.choice(["counts", "differences"]))
    checkpoint = checkpoint_of(seed, steps, **changes)
    arrays = {name: np.array(array) for name, array in checkpoint.arrays.items()}
    config = checkpoint.config
    scaled = tie not in ("leaky", "integer") and rng.random() < 0.5 and not chip and not gated
    unequal = scaled and not tie and bool(rng.random() < 0.3)
    if unequal:
        _scale_sources(rng, arrays, config.model)
    elif scaled:
        _scale_channels(rng, arrays, config.model)
    _tie(rng, arrays, config.model, tie)
    checkpoint = replace(checkpoint, arrays=arrays)
    relayed = config.model.mixing in GATED and np.random.default_rng((seed, 10)).random() < 0.5
    options = {"encoding": encoding, "delay": delay,
               "residual": "relayed" if relayed else "folded"}
    try:
        network = lower(checkpoint, **options)
    except NetworkError as error:  # sums of very unequal weights are rounded
        if not scaled or "adds up differences" not in str(error):
            raise
        network = lower(checkpoint, messages="counts", **options)
    shape = (2, network.source.channels, steps)
    if magnitude:
        samples = rng.normal(size=shape) * magnitude
    else:
        limit = {"token": network.source.symbols, "spikes": 2}.get(
            encoding, 2**network.source.bits
        )
        samples = rng.integers(0, limit, shape)
        if tie == "leaky":
            samples = np.where(rng.random(shape) < 0.7, p, samples)
    words = f"seed {seed}: {changes}, {options}, scaled {scaled}, tie {tie!r}"
    return Case(checkpoint, network, samples, tie, unequal, words)
