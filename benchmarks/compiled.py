"""A training step compiled (``snn-ssm train --compile``), against the same step as it is written.

A step is forward, loss and backward of four blocks of 64 channels and 16 complex modes on 64
sequences of 784 steps, one thread: with linear mixing, and with the deployable GSU. Compilation,
which comes with the first step, is not counted.

Target: >= 1.2 x for both.
"""

from __future__ import annotations

import _timing  # first, see there
import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model.network import Network
from snn_ssm.training.compilation import compiled

BATCH, LENGTH, REPETITIONS, TARGET = 64, 784, 5, 1.2
MODELS = {
    "linear mixing": ModelConfig(surrogate="arctan", surrogate_slope=2.0),
    "GSU": ModelConfig(
        surrogate="arctan", surrogate_slope=2.0, activation="ternary-constant", mixing="gsu",
        gsu_norm="batch",
    ),
}  # fmt: skip


def compare(config: ModelConfig) -> None:
    """Time both forms of one network's step by turns."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (BATCH, 1, LENGTH), generator=generator)
    labels = torch.arange(BATCH) % config.classes

    def step(network: nn.Module) -> Tensor:
        network.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs).logits, labels)
        loss.backward()
        return loss.detach()

    forms = {"compiled": compiled(Network(config)), "plain": Network(config)}
    losses = [float(step(form)) for form in forms.values()]
    error = abs(losses[0] - losses[1]) / losses[1]
    _timing.require(error <= 1e-3, f"the loss, within {error:.1e}")
    times = _timing.interleave(
        {name: lambda f=f: _timing.stopwatch(lambda: step(f))  # type: ignore[misc]
         for name, f in forms.items()},
        REPETITIONS,
    )  # fmt: skip
    _timing.verdict("times faster", _timing.ratio(times[1], times[0]), TARGET, " x")


def main() -> None:
    torch.set_num_threads(1)
    print(_timing.machine())
    for name, config in MODELS.items():
        print(f"{name}, {BATCH} sequences of {LENGTH} steps")
        compare(config)


if __name__ == "__main__":
    main()
