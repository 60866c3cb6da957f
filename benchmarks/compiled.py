"""A training step by the CPU's own operators, against the same step compiled by ``torch.compile``.

A step is forward, loss and backward of four blocks of 64 channels and 16 complex modes on 64
sequences of 784 steps, one thread: with linear mixing, and with the deployable GSU. Compilation,
which comes with the first step, is not counted. Beside them the step in plain torch.

Target: >= 1 x for both. It is why ``snn-ssm train --compile`` is refused on the CPU.
"""

from __future__ import annotations

from unittest import mock

import _timing  # first, see there
import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model import operators
from snn_ssm.model.network import Network
from snn_ssm.training.compilation import compiled

BATCH, LENGTH, REPETITIONS, TARGET = 64, 784, 5, 1.0
MODELS = {
    "linear mixing": ModelConfig(surrogate="arctan", surrogate_slope=2.0),
    "GSU": ModelConfig(
        surrogate="arctan", surrogate_slope=2.0, activation="ternary-constant", mixing="gsu",
        gsu_norm="batch",
    ),
}  # fmt: skip


def compare(config: ModelConfig) -> None:
    """Time the forms of one network's step by turns."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (BATCH, 1, LENGTH), generator=generator)
    labels = torch.arange(BATCH) % config.classes

    def step(network: nn.Module, by_operators: bool) -> Tensor:
        network.zero_grad()
        with mock.patch.object(operators, "usable", operators.usable if by_operators else _never):
            loss = nn.functional.cross_entropy(network(inputs).logits, labels)
            loss.backward()
        return loss.detach()

    forms = {
        "operators": (Network(config), True),
        "compiled": (compiled(Network(config)), True),
        "plain torch": (Network(config), False),
    }
    truth, *losses = [float(step(*form)) for form in forms.values()]
    error = max(abs(loss - truth) / truth for loss in losses)
    _timing.require(error <= 1e-3, f"the loss, within {error:.1e}")
    ours, *others = _timing.interleave(
        {name: lambda f=f: _timing.stopwatch(lambda: step(*f))  # type: ignore[misc]
         for name, f in forms.items()},
        REPETITIONS,
    )  # fmt: skip
    for name, other in zip(list(forms)[1:], others, strict=True):
        print(f"  operators against {name}:")
        _timing.verdict("times faster", _timing.ratio(other, ours), TARGET, " x")


def _never(x: Tensor, part: str = "products") -> bool:
    return False


def main() -> None:
    torch.set_num_threads(1)
    print(_timing.machine())
    for name, config in MODELS.items():
        print(f"{name}, {BATCH} sequences of {LENGTH} steps")
        compare(config)


if __name__ == "__main__":
    main()
