"""One plain training loop: AdamW, linear warm-up and cosine decay, checkpoint and resume.

A run's directory holds the checkpoint (``model.safetensors``, ``config.toml``), ``metrics.json``
and ``state.safetensors``: model, optimiser, random state and position. A killed run resumes from
its last state and arrives at the same result as one that was not interrupted.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from pynn_models.errors import SnnSsmError
from snn_ssm import config as configuration
from snn_ssm.checkpoint import (
    MODEL_FILE,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from snn_ssm.config import Config, TrainingConfig
from snn_ssm.files import (
    FileError,
    new_directory,
    pack_arrays,
    read_arrays,
    sha256,
    write_atomic,
)
from snn_ssm.model import Network
from snn_ssm.tasks import Samples

STATE_FILE = "state.safetensors"
METRICS_FILE = "metrics.json"
MODE_PARAMETERS = ("a", "omega", "log_dt", "b")
_SAVE_EVERY = 300.0  # seconds between two states within an epoch
_NORM_SAMPLES = 4096  # enough that the batch norms' statistics are known to about 0.1 %


class TrainingError(SnnSsmError):
    """Training diverged, or a run cannot be resumed."""


@dataclass
class Progress:
    """Where a run stands: the epoch, the batches done in it, and its sums so far."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    correct: int = 0
    seen: int = 0
    rates: list[float] = field(default_factory=list)
    seconds: float = 0.0
    epochs: list[dict[str, Any]] = field(default_factory=list)


def rate_factor(step: int, total: int, warmup: float) -> float:
    """Warm-up and cosine decay, w = warmup total: the share of the peak rate at a step.

    ``(step+1)/(w+1)`` for step < w, then ``(1 + cos(pi (step-w)/(total-w)))/2``.
    """
    ramp = warmup * total
    if step < ramp:
        return (step + 1) / (ramp + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1.0, total - ramp)))


def parameter_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Three groups: modes (smaller rate, no decay), norms and biases (no decay), the rest.

    Each group carries its peak rate as ``peak``.
    """
    modes, plain, decayed = [], [], []
    for name, parameter in network.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        if ".ssm." in name and leaf in MODE_PARAMETERS:
            modes.append(parameter)
        elif ".norm." in name or leaf in ("bias", "d"):
            plain.append(parameter)
        else:
            decayed.append(parameter)
    return [
        {"params": modes, "peak": config.mode_rate, "weight_decay": 0.0},
        {"params": plain, "peak": config.rate, "weight_decay": 0.0},
        {"params": decayed, "peak": config.rate, "weight_decay": config.weight_decay},
    ]


def _batches(
    samples: Samples, size: int, order: NDArray[np.int64], first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(first * size, len(samples), size):
        index = order[start : start + size]
        yield torch.from_numpy(samples.inputs[index]), torch.from_numpy(samples.labels[index])


@torch.no_grad()
def evaluate(
    network: Network, samples: Samples, batch_size: int = 100, device: str = "cpu"
) -> dict[str, Any]:
    """Accuracy and spike rate per layer of the network, by convolution: ``accuracy``, ``rates``."""
    network.eval()
    correct, rates = 0, np.zeros(network.config.depth)
    for p, label in _batches(samples, batch_size, np.arange(len(samples))):
        out = network(p.to(device))
        correct += int((out.logits.argmax(-1).cpu() == label).sum())
        rates += [float(s.mean()) * len(p) for s in out.outputs]
    return {"accuracy": correct / len(samples), "rates": (rates / len(samples)).tolist()}


@torch.no_grad()
def settle_norms(network: Network, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's statistics to the average over ``batches`` (B, C, L).

    While weights change fast, the running averages lag behind them, and a Heaviside network
    forgives no shifted threshold: accuracy in evaluation can be half of that in training.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over what follows
    network.train()
    for p in batches:
        network(p)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def load_network(checkpoint: Checkpoint | Path) -> Network:
    """The torch model of a checkpoint, in evaluation mode, float32."""
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    network = Network(checkpoint.config.model)
    state = {name: torch.from_numpy(array.copy()) for name, array in checkpoint.arrays.items()}
    network.load_state_dict(state)
    return network.eval()


def to_checkpoint(network: Network, config: Config) -> Checkpoint:
    """The checkpoint of a torch model."""
    arrays = {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}
    return Checkpoint(config, arrays)


class Run:
    """A training run in its directory."""

    def __init__(self, config: Config, out: Path, device: str) -> None:
        self.config, self.out, self.device = config, out, device
        torch.manual_seed(config.training.seed)
        self.network = Network(config.model, config.training.seed).to(device)
        self.optimiser = torch.optim.AdamW(parameter_groups(self.network, config.training))
        self.progress = Progress()

    def save_state(self) -> None:
        """Write all that a resumed run needs, in one file."""
        arrays = {f"model.{k}": v.cpu().numpy() for k, v in self.network.state_dict().items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            arrays |= {f"optimiser.{i}.{k}": v.cpu().numpy() for k, v in state.items()}
        arrays["random"] = torch.get_rng_state().numpy()
        metadata = {
            "config": configuration.dumps(self.config),
            "progress": json.dumps(asdict(self.progress)),
        }
        write_atomic(self.out / STATE_FILE, pack_arrays(arrays, metadata))

    def load_state(self) -> None:
        """Continue from the directory's state; raises where there is none or it is another's."""
        arrays, metadata = read_arrays(self.out / STATE_FILE, "training state")
        if metadata.get("config") != configuration.dumps(self.config):
            raise TrainingError(
                f"{self.out} was trained with another configuration. Resume with the same "
                "--config, or train into a new directory."
            )
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
        prefix = "model."
        self.network.load_state_dict(
            {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        )
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        self.progress = Progress(**json.loads(metadata["progress"]))

    def step(self, p: Tensor, label: Tensor, number: int, total: int) -> None:
        """One optimiser step; adds its loss, hits and rates to the progress."""
        training, progress = self.config.training, self.progress
        factor = rate_factor(number, total, training.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        out = self.network(p.to(self.device))
        loss = nn.functional.cross_entropy(out.logits, label.to(self.device))
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"the loss is {float(loss.detach())} in epoch {progress.epoch + 1}, batch "
                f"{progress.batch + 1}. Lower training.rate or training.mode_rate; the last good "
                f"state stays in {self.out}."
            )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), training.clip)
        self.optimiser.step()
        with torch.no_grad():
            rates = [float(s.mean()) for s in out.outputs]
        progress.batch += 1
        progress.seen += len(p)
        progress.loss += float(loss.detach()) * len(p)
        progress.correct += int((out.logits.argmax(-1).cpu() == label).sum())
        weighted = [r * len(p) for r in rates]
        progress.rates = [
            a + b for a, b in zip(progress.rates or [0.0] * len(rates), weighted, strict=True)
        ]

    def order(self, samples: Samples) -> NDArray[np.int64]:
        """The order of the samples in the current epoch."""
        generator = np.random.default_rng((self.config.training.seed, self.progress.epoch))
        return generator.permutation(len(samples))

    def epoch(self, samples: Samples) -> None:
        """The rest of the current epoch, with a state saved every few minutes."""
        progress, training = self.progress, self.config.training
        batches = -(-len(samples) // training.batch_size)
        order = self.order(samples)
        saved = time.monotonic()
        self.network.train()
        bar = tqdm(
            total=batches,
            initial=progress.batch,
            desc=f"epoch {progress.epoch + 1}/{training.epochs}",
            mininterval=1.0,
        )
        with bar:
            for p, label in _batches(samples, training.batch_size, order, progress.batch):
                start = time.monotonic()
                number = progress.epoch * batches + progress.batch
                self.step(p, label, number, training.epochs * batches)
                progress.seconds += time.monotonic() - start
                seen = progress.seen
                bar.update()
                bar.set_postfix(
                    loss=f"{progress.loss / seen:.4f}",
                    accuracy=f"{progress.correct / seen:.4f}",
                    rate=f"{sum(progress.rates) / seen / len(progress.rates):.3f}",
                    refresh=False,
                )
                if time.monotonic() - saved > _SAVE_EVERY:
                    self.save_state()
                    saved = time.monotonic()

    def settle(self, samples: Samples) -> None:
        """Settle the norms on the first samples of the current epoch's order."""
        order = self.order(samples)[:_NORM_SAMPLES]
        with torch.random.fork_rng(devices=[]):  # dropout here must not shift what follows
            part = Samples(samples.inputs[order], samples.labels[order])
            batches = _batches(part, self.config.training.batch_size, np.arange(len(part)))
            settle_norms(self.network, (p.to(self.device) for p, _ in batches))

    def finish_epoch(self, samples: Samples, test: Samples) -> None:
        """Settle the norms, evaluate, log, and move on to the next epoch."""
        progress = self.progress
        seen = progress.seen
        self.settle(samples)
        metrics = evaluate(self.network, test, device=self.device)
        progress.epochs.append(
            {
                "epoch": progress.epoch + 1,
                "loss": progress.loss / seen,
                "train_accuracy": progress.correct / seen,
                "train_rates": [r / seen for r in progress.rates],
                "test_accuracy": metrics["accuracy"],
                "test_rates": metrics["rates"],
                "seconds": progress.seconds,
            }
        )
        done = progress.epoch + 1
        self.progress = Progress(done, seconds=progress.seconds, epochs=progress.epochs)
        save_checkpoint(self.out, to_checkpoint(self.network, self.config))
        write_atomic(self.out / METRICS_FILE, json.dumps(self.metrics(), indent=1).encode())
        # Last: a run killed before this line does the end of the epoch again.
        self.save_state()

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        last = self.progress.epochs[-1]
        return {
            "task": self.config.task.name,
            "test_accuracy": last["test_accuracy"],
            "spike_rates": last["test_rates"],
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "epochs": self.progress.epochs,
            "seconds": self.progress.seconds,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "model_sha256": sha256((self.out / MODEL_FILE).read_bytes()),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        }


def train(
    config: Config,
    train_samples: Samples,
    test_samples: Samples,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
) -> dict[str, Any]:
    """Train a network into the directory ``out`` and return its metrics.

    The test samples are only reported on, never selected by: the checkpoint is that of the last
    epoch. Raises ``FileError`` where ``out`` exists and ``resume`` is not set,
    :class:`TrainingError` where the loss diverges or the run cannot be resumed.
    """
    out = Path(out)
    if resume:
        if not (out / STATE_FILE).is_file():
            raise FileError(
                f"nothing to resume in {out}: it has no {STATE_FILE}. Train without --resume."
            )
        run = Run(config, out, device)
        run.load_state()
    else:
        run = Run(config, new_directory(out, "output directory"), device)
    while run.progress.epoch < config.training.epochs:
        run.epoch(train_samples)
        run.finish_epoch(train_samples, test_samples)
    return run.metrics()
