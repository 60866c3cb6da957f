"""Whether samples are what a model is made for: their steps, inputs and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import ModelConfig, TaskConfig
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.tasks.base import DataError, Samples

MOST_CLASSES = 2**16  # of a model


def check_steps(inputs: NDArray[np.generic], task: TaskConfig) -> None:
    """Raise :class:`DataError` where samples (B, C, L) have other than ``task.steps`` steps."""
    if inputs.shape[-1] != task.steps:
        raise DataError(
            f"samples of task {task.name!r} have {inputs.shape[-1]} steps, but task.steps is "
            f"{task.steps}. Correct the configuration, or use other samples."
        )


def check_labels(
    labels: NDArray[Any], output: str, each_step: bool, classes: int, steps: int, what: str
) -> None:
    """Raise :class:`DataError` where labels are none of such an output of ``classes`` scores.

    Shapes as :class:`Samples` has them; ``what`` has them.
    """
    kind, count = OUTPUTS[output], len(labels)
    expected = (count, *((steps,) if each_step else ()), *((classes,) if kind.vector else ()))
    numbers = labels.dtype.kind in ("iuf" if kind.real else "iu")
    if labels.shape != expected or not numbers:
        raise DataError(
            f"what {what} are to be answered with is of {labels.dtype} and shape {labels.shape}; "
            f"model.output = {output!r} expects {'real numbers' if kind.real else 'integers'} of "
            f"shape {expected}. Correct model.output, model.per_step or model.classes, or give "
            f"other {'targets' if kind.real else 'labels'}."
        )
    if kind.real:
        return
    largest, least = (1, 0) if kind.vector else (classes - 1, -1 if each_step else 0)
    wrong = np.argwhere((labels < least) | (labels > largest))
    if len(wrong):
        where = f", step {wrong[0][1]}," if each_step else ""
        unlabelled = ", or -1 where a step has no label" if each_step else ""
        raise DataError(
            f"sample {wrong[0][0]} of {what}{where} has the label {labels[tuple(wrong[0])]}; "
            f"expected 0 to {largest}{unlabelled}. Fetch or make the data again, or correct "
            "model.classes."
        )


def check_inputs(inputs: NDArray[np.generic], model: ModelConfig, what: str) -> None:
    """Raise :class:`DataError` where inputs (B, C, L) are not what the encoder is made for.

    Integers of 0 to ``2^input_bits - 1`` (linear encoder; any number for 0 bits), or symbols 0 to
    ``model.inputs - 1`` (embedding). ``what`` has them.
    """
    if model.encoder == "embedding":
        limit, remedy = model.inputs, "Correct model.inputs, or number the symbols from 0."
    else:
        limit = 2**model.input_bits if model.input_bits else 0
        remedy = "Set model.input_bits to 0 for real values, or quantise them."
    if not limit:
        return
    low, high = inputs.min(), inputs.max()
    whole = inputs.dtype.kind in "biu" or all(
        bool((sample == np.floor(sample)).all()) for sample in inputs
    )
    if low < 0 or high >= limit or not whole:
        raise DataError(
            f"the inputs of {what} are {'' if whole else 'not all '}integers, from {low} to {high};"
            f" expected integers from 0 to {limit - 1}. {remedy}"
        )


def check_lengths(samples: Samples, model: ModelConfig, what: str) -> None:
    """Raise :class:`DataError` for samples that are filled up, where the model would read that."""
    if samples.lengths is None:
        return
    reads = {
        "architecture = \"transformer\"": model.architecture == "transformer",
        "bidirectional = true": model.bidirectional,
        "pair = true": model.pair,
    }
    for key, holds in reads.items():
        if holds:
            raise DataError(
                f"{what} have different lengths, and a model with model.{key} reads what fills "
                "them up. Train without it, or cut the samples to one length."
            )


def check_samples(samples: Samples, model: ModelConfig, what: str) -> None:
    """Raise :class:`DataError` for samples that a model is not made for; ``what`` they are."""
    steps = samples.inputs.shape[-1]
    check_labels(samples.labels, model.output, model.each_step, model.classes, steps, what)
    check_inputs(samples.inputs, model, what)
    check_lengths(samples, model, what)
