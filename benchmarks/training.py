"""A training step against the network of state-spaces' ``s4d.py``, and against plain torch.

A step is forward, loss and backward of four blocks of 64 channels and 16 complex modes, without
the optimiser; float32, one thread. Ours: batch norm, Heaviside spikes with linear mixing and with a
GLU, and the deployable GSU. Compared are the peer (``_s4d.py``, of the same size, GELU and GLU) and
the same networks in plain torch, without the compiled operators. All in one process, by turns, and
with the memory of freed arrays kept (``snn_ssm.training.allocation``).

The table has ratios of median processor times: other work on the machine stretches neither much.
``--sizes 784x32 4096x6`` chooses steps and sequences, ``--repetitions`` how often.

Targets, times the peer's speed: linear 3.5, GLU 2.5, GSU 2.2 at 784 steps, 32 sequences; 9, 6, 5.5
at 4,096 x 6; 16, 12, 11 at 16,384 x 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from unittest import mock

import _timing  # first, see there
import torch
from _s4d import S4DNetwork
from torch import Tensor, nn

from snn_ssm.config import ModelConfig
from snn_ssm.model import operators
from snn_ssm.model.network import Network
from snn_ssm.training.allocation import keep_memory

Size = tuple[int, int]  # steps, sequences
TARGETS: dict[Size, tuple[float, float, float]] = {
    (784, 32): (3.5, 2.5, 2.2),
    (4096, 6): (9.0, 6.0, 5.5),
    (16384, 2): (16.0, 12.0, 11.0),
}
REPETITIONS = 5
CHANNELS, MODES, DEPTH, CLASSES = 64, 16, 4, 10
MIXINGS: dict[str, dict[str, str]] = {
    "linear": {},
    "GLU": {"mixing": "glu"},
    "GSU": {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch"},
}


def size(text: str) -> Size:
    """``784x32``: steps and sequences."""
    steps, sequences = text.split("x")
    return int(steps), int(sequences)


def project(changes: dict[str, str]) -> Network:
    """The project's network."""
    return Network(
        ModelConfig(
            channels=CHANNELS, modes=MODES, depth=DEPTH, classes=CLASSES, surrogate="arctan",
            surrogate_slope=2.0, **changes,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def in_plain_torch(work: Callable[[], Tensor]) -> Tensor:
    """Do some work without the compiled operators."""
    with mock.patch.object(operators, "usable", return_value=False):
        return work()


def compare(at: Size, repetitions: int) -> None:
    """Time all networks at one size by turns, and print its rows of the table."""
    steps, sequences = at
    inputs = torch.randint(0, 256, (sequences, 1, steps), dtype=torch.uint8)
    labels = torch.arange(sequences) % CLASSES

    def step(network: nn.Module, logits: Callable[[], Tensor]) -> Tensor:
        network.zero_grad()
        loss = nn.functional.cross_entropy(logits(), labels)
        loss.backward()
        return loss.detach()

    peer = S4DNetwork(CHANNELS, MODES, DEPTH, CLASSES)
    candidates: dict[str, Callable[[], Tensor]] = {
        "s4d.py": lambda: step(peer, lambda: peer(inputs))
    }
    for name, changes in MIXINGS.items():
        network = project(changes)

        def ours(network: Network = network) -> Tensor:
            return step(network, lambda: network(inputs).logits)

        candidates[name] = ours
        candidates[f"{name}, plain torch"] = lambda ours=ours: in_plain_torch(ours)  # type: ignore[misc]
        losses = [float(ours()), float(in_plain_torch(ours))]
        error = abs(losses[0] - losses[1]) / losses[1]
        _timing.require(error <= 1e-3, f"the loss of {name} in plain torch, within {error:.1e}")
    candidates["s4d.py"]()
    times = _timing.interleave(
        {name: lambda work=work: _timing.stopwatch(work)  # type: ignore[misc]
         for name, work in candidates.items()},
        repetitions,
    )  # fmt: skip
    cpu = {name: median(t.cpu) for name, t in zip(candidates, times, strict=True)}
    print("  | mixing | ms | times s4d.py's speed | target | times plain torch |")
    targets = TARGETS.get(at, (None,) * len(MIXINGS))
    for name, target in zip(MIXINGS, targets, strict=True):
        taken = cpu[name]
        print(
            f"  | {name} | {1e3 * taken:.0f} | {cpu['s4d.py'] / taken:.2f} | {target or '-'} | "
            f"{cpu[f'{name}, plain torch'] / taken:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=size, nargs="+", default=list(TARGETS), metavar="LxB")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    kept = keep_memory()
    print(_timing.machine())
    print(f"{options.threads} threads; memory of freed arrays kept: {kept}")
    for at in options.sizes:
        print(f"{at[0]:,} steps, {at[1]} sequences")
        compare(at, options.repetitions)


if __name__ == "__main__":
    main()
