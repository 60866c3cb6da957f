"""The short name of a model in tables, from its configuration. Imports no torch."""

from __future__ import annotations

from snn_ssm.config import Config, ModelConfig

_KINDS = {
    "heaviside": "Binary S4D",
    "integer": "Integer S4D",
    "bernoulli": "Bernoulli S4D",
    "ternary": "Ternary S4D",
    "ternary-constant": "Ternary S4D",
    "gelu": "S4D",
}

_CELLS = {"lif": "LIF", "egru": "EGRU"}


def _family(model: ModelConfig) -> str:
    if model.architecture == "transformer":
        return "Transformer"
    if model.cells in _CELLS:
        return _CELLS[model.cells]
    if model.mixing == "gsu":
        return "GSU"
    return _KINDS.get(model.activation, f"S4D ({model.activation})")


def model_name(config: Config) -> str:
    """The family, as published models are named, and after commas what this one has otherwise.

    ``Binary S4D``, ``GSU``, ``LIF``, ``Transformer``, ``S4D``; ``Binary S4D, linear, sparse``.
    """
    model, training = config.model, config.training
    state_space = model.architecture == "state-space"
    differences = {
        "stock cells": model.cells == "stock",
        "linear": model.cells == "native" and model.mixing == "linear",
        "constant thresholds": model.activation == "ternary-constant",
        "two matrices": model.mixing == "gsu" and model.gsu_weights == 2,
        f"up to {model.spike_levels} spikes": model.activation == "integer",
        "sent as differences": model.messages == "differences",
        f"{model.reset} reset": model.reset != "none",
        f"{model.refractory} steps refractory": model.refractory > 0,
        f"history of {model.history}": model.history > 0,
        "recurrent": model.recurrent,
        f"recurrent delays to {model.recurrent_delays}": model.recurrent_delays > 0,
        f"delays to {model.delays}": model.delays > 0,
        "bidirectional": model.bidirectional,
        f"{model.weight_bits}-bit weights": model.weight_bits > 0,
        "weighted classes": bool(training.class_weights),
        "sparse": training.rate_penalty > 0,
        f"{training.sparsity:.0%} pruned": training.sparsity > 0,
        "gradient noise": training.gradient_noise > 0,
        "SLTT": not training.through_time,
        f"SLTT-{training.gradient_steps}": training.gradient_steps > 0,
        f"every {config.task.stride} steps": config.task.stride > 1,
    }
    found = [text for text, holds in differences.items() if holds and state_space]
    return ", ".join([_family(model), *found])


def family(name: str) -> str:
    """The published model that a name is of: what stands before its first comma."""
    return name.partition(",")[0]
