"""A training run in its directory: its steps, its epochs, and what it leaves.

The directory holds the checkpoint (``model.safetensors``, ``config.toml``), ``metrics.json`` and
``state.safetensors``: model, optimiser, random state and position. A killed run resumes from its
last state and arrives at the same result as one that was not interrupted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_ssm.checkpoint import MODEL_FILE, check_size, load_checkpoint, save_checkpoint
from snn_ssm.config import Config
from snn_ssm.files import (
    read_bytes,
    remove_leftovers,
    sha256,
    whole_directory,
    write_atomic,
)
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.model.network import build_network
from snn_ssm.model.restore import load_weights, require_same_model, to_checkpoint
from snn_ssm.model.sequence import Output
from snn_ssm.progress import progress_bar
from snn_ssm.results.labels import model_name
from snn_ssm.tasks import Samples
from snn_ssm.training import compilation
from snn_ssm.training.batches import NORM_SAMPLES, Batch, load, split
from snn_ssm.training.distributed import World, share_norms
from snn_ssm.training.epochs import is_best, row_of, score_of, tell
from snn_ssm.training.evaluation import answers_of, evaluate, report, settle_norms
from snn_ssm.training.interruption import Interruption
from snn_ssm.training.losses import loss_sum, prefix_loss, right
from snn_ssm.training.methods import add_noise, cut_time, narrow, prune, restride, sparsity_at
from snn_ssm.training.optimisation import (
    check_penalty,
    parameter_groups,
    rate_factor,
    rate_penalty,
    spike_rates,
    summed_rates,
)
from snn_ssm.training.provenance import provenance
from snn_ssm.training.run_state import (
    STATE_FILE,
    Progress,
    TrainingError,
    load_state,
    random_state,
    save_state,
    set_random_state,
)

METRICS_FILE = "metrics.json"
_SAVE_EVERY = 300.0  # seconds between two states within an epoch


class Run:
    """A training run in its directory."""

    def __init__(
        self, config: Config, out: Path, world: World, compile_step: bool = False
    ) -> None:
        check_penalty(config.model, config.training)
        check_size(config.model)
        self.config, self.out, self.world = config, out, world
        torch.manual_seed(config.training.seed + world.rank)
        self.network = build_network(config.model, config.training.seed).to(world.device)
        self.network.prefixes = config.training.prefixes
        share_norms(self.network, world)
        self.compile_step = compile_step
        self.trained = compilation.compiled(self.network) if compile_step else self.network
        self.optimiser = torch.optim.AdamW(parameter_groups(self.network, config.training))
        self.progress = Progress()

    def start(self, init: Path | None, data: dict[str, str]) -> None:
        """Make the run's directory and first state, from which a run killed at once is resumed.

        The model is random, or that of the checkpoint ``init``; ``data``: the samples' digests, by
        split.
        """
        self.progress.data = data
        if init is not None:
            checkpoint = load_checkpoint(init)
            require_same_model(self.config.model, init, checkpoint.config.model)
            load_weights(self.network, checkpoint)
            restride(self.network, checkpoint.config.task, self.config.task)
            self.progress.init = sha256(read_bytes(init / MODEL_FILE, "checkpoint"))
        random = self.world.gather(random_state(self.world.device))
        self.world.first_does(lambda: self._first_state(random))

    def _first_state(self, random: list[dict[str, Tensor]]) -> None:
        with whole_directory(self.out, "output directory") as directory:
            save_state(
                directory, self.config, self.progress, self.network, self.optimiser, random
            )

    def save_state(self) -> None:
        """Write all that a resumed run needs, in one file."""
        random = self.world.gather(random_state(self.world.device))
        if self.world.rank == 0:
            save_state(
                self.out, self.config, self.progress, self.network, self.optimiser, random
            )

    def load_state(self, data: dict[str, str]) -> None:
        """Continue from the directory's state; raises where there is none or it is another's."""
        random = self.world.gather(random_state(self.world.device))
        self.progress, stored = load_state(
            self.out, self.config, self.network, self.optimiser, random, data
        )
        try:
            set_random_state(stored[self.world.rank], self.world.device)
        except RuntimeError as error:
            raise TrainingError(
                f"the random state in {self.out / STATE_FILE} is none that a generator can have "
                f"({error}). Restore the file, or train into a new directory."
            ) from error
        self.world.first_does(lambda: remove_leftovers(self.out))

    def forward(self, p: Tensor, lengths: Tensor | None = None) -> Output:
        """The network on inputs (B, C, L) of ``lengths`` (B,) steps.

        With ``precision = "bf16"`` matrices multiply in it: autocast changes matrix products of
        float32 only. Kernels and modes are float64, and a product joins the float32 residual
        stream before a norm or a Fourier transform sees it.
        """
        mixed = self.config.training.precision == "bf16"
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=mixed):
            return self.trained(p) if lengths is None else self.trained(p, lengths)

    def objective(self, out: Output, batch: Batch, count: int) -> Tensor:
        """This process's part of the loss of a batch of ``count`` samples.

        ``sum_i loss_i / count`` (:mod:`snn_ssm.training.losses`), plus its share of the spike-rate
        penalty, of which every process has the same.
        """
        training, world, model = self.config.training, self.world, self.config.model
        loss = loss_sum(out.logits, batch.labels, batch.lengths, model, training) / count
        if out.beginnings is not None:
            early = prefix_loss(out.beginnings, batch.labels, model, training) / count
            loss = (loss + early) / 2
        if training.rate_penalty == 0:
            return loss
        rates = spike_rates(out.outputs, model, batch.lengths)
        own = rates * (len(batch.labels) / count)
        penalty = rate_penalty(world.sum(own), training.rate_target)
        return loss + training.rate_penalty * penalty / world.size

    def step(self, batch: Batch, count: int, number: int, total: int) -> None:
        """One optimiser step on this process's share of a batch of ``count`` samples.

        Adds the whole batch's loss, hits and rates to the progress.
        """
        training, progress = self.config.training, self.progress
        factor = rate_factor(number, total, training.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        p = batch.inputs
        cut_time(self.network, training, p.shape[-1])
        narrow(self.network, number, total)
        out = self.forward(p, batch.lengths)
        objective = self.objective(out, batch, count)
        hits = right(out.logits, batch.labels, batch.lengths, self.config.model)
        active = summed_rates(out.outputs, self.config.model, len(p), batch.lengths)
        sums = torch.stack([x.detach().double() for x in (objective, hits, *active)])
        loss, correct, *rates = self.world.sum(sums).tolist()
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {progress.epoch + 1}, batch "
                f"{progress.batch + 1}. Lower training.rate, training.mode_rate or "
                f"model.input_scale; the last good state stays in {self.out}."
            )
        self.optimiser.zero_grad()
        objective.backward()
        self.world.sum_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), training.clip)
        if training.gradient_noise:
            add_noise(self.network, training.gradient_noise, training.seed, number)
        self.optimiser.step()
        if training.sparsity:
            prune(self.network, sparsity_at(training.sparsity, number + 1, total))
        progress.batch += 1
        progress.seen += count
        progress.loss += loss * count
        progress.correct += correct
        progress.rates = [
            a + b for a, b in zip(progress.rates or [0.0] * len(rates), rates, strict=True)
        ]

    def order(self, samples: Samples) -> NDArray[np.int64]:
        """The order of the samples in the current epoch."""
        generator = np.random.default_rng((self.config.training.seed, self.progress.epoch))
        return generator.permutation(len(samples))

    def epoch(self, samples: Samples) -> None:
        """The rest of the current epoch, with a state saved every few minutes.

        And one after the batch in which SIGINT or SIGTERM came; then raises ``KeyboardInterrupt``.
        """
        progress, training = self.progress, self.config.training
        total = -(-len(samples) // training.batch_size)
        order = self.order(samples)
        saved = time.monotonic()
        self.network.train()
        bar = progress_bar(
            total,
            initial=progress.batch,
            desc=f"epoch {progress.epoch + 1}/{training.epochs}",
            mininterval=1.0,
            silent=self.world.rank > 0,
        )
        with bar, Interruption() as interruption:
            for index in split(order, training.batch_size)[progress.batch :]:
                start = time.monotonic()
                batch = self.share(samples, index)
                number = progress.epoch * total + progress.batch
                self.step(batch, len(index), number, training.epochs * total)
                progress.seconds += time.monotonic() - start
                seen = progress.seen
                bar.update()
                accuracy = self.train_accuracy()
                shown = {} if accuracy is None else {"accuracy": f"{accuracy:.4f}"}
                bar.set_postfix(
                    loss=f"{progress.loss / seen:.4f}",
                    **shown,
                    rate=f"{sum(progress.rates) / seen / max(1, len(progress.rates)):.3f}",
                    refresh=False,
                )
                due = time.monotonic() - saved > _SAVE_EVERY
                stop, due = self.world.first((interruption.asked, due))
                if stop or due:
                    self.save_state()
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt(f"the state is in {self.out}; go on with --resume")

    def train_accuracy(self) -> float | None:
        """The share of the epoch's answers that were right so far; None of values."""
        real = OUTPUTS[self.config.model.output].real
        return None if real else self.progress.correct / self.progress.seen

    def share(self, samples: Samples, index: NDArray[np.int64]) -> Batch:
        """This process's share of a batch."""
        return load(samples, index[self.world.rank :: self.world.size], self.world.device)

    def settle(self, samples: Samples) -> None:
        """Settle the norms on the first samples of the current epoch's order.

        With delays as wide as in the epoch's last step, which a resumed run may not have made.
        """
        size, epoch = self.config.training.batch_size, self.progress.epoch
        batches = -(-len(samples) // size)
        narrow(self.network, (epoch + 1) * batches - 1, self.config.training.epochs * batches)
        parts = split(self.order(samples)[:NORM_SAMPLES], size)
        device = self.world.device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # dropout here must not shift what follows
            settle_norms(
                self.network,
                ((self.share(samples, index).inputs, len(index)) for index in parts),
            )

    def finish_epoch(self, samples: Samples, others: Mapping[str, Samples]) -> None:
        """Settle the norms, evaluate on the other splits, log, and move on to the next epoch.

        The model is kept that is the last, or the best on ``valid``; ``test`` decides nothing. The
        costs are measured on the last of the splits.
        """
        progress, training = self.progress, self.config.training
        done = progress.epoch + 1
        self.settle(samples)
        batch = training.batch_size
        found = {
            split: evaluate(self.network, other, batch, self.world)
            for split, other in others.items()
        }
        accuracy = self.train_accuracy()
        progress.epochs.append(row_of(progress, accuracy, found))
        if self.world.rank == 0:
            tell(self.config, progress, accuracy, found)
        checkpoint = to_checkpoint(self.network, self.config)
        best = progress.best
        keep = True
        if training.select == "valid":
            score = score_of(self.config, found["valid"])
            keep = is_best(best, score)
            best = (done, score) if keep else best
        measured = progress.measured
        if keep:
            measured = {"train_samples": len(samples)}
            for split, other in others.items():
                measured |= answers_of(self.config, other, found[split], split)
            last = list(others)[-1]
            measured |= report(checkpoint, others[last], found[last], last)
        self.progress = Progress(
            done,
            seconds=progress.seconds,
            epochs=progress.epochs,
            measured=measured,
            init=progress.init,
            data=progress.data,
            best=best,
        )
        if self.world.rank == 0:
            if keep:
                save_checkpoint(self.out, checkpoint)
            write_atomic(self.out / METRICS_FILE, json.dumps(self.metrics(), indent=1).encode())
        # Last: a run killed before this line does the end of the epoch again.
        self.save_state()

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        progress, training, world = self.progress, self.config.training, self.world
        return {
            "task": self.config.task.name,
            "model": model_name(self.config),
            **progress.measured,
            "batch_size": training.batch_size,
            "epochs": progress.epochs,
            **({} if progress.best is None else {"selected_epoch": progress.best[0]}),
            "seconds": progress.seconds,
            "init": progress.init,
            "data_sha256": progress.data,
            "compiled": self.compile_step,
            "model_sha256": sha256(read_bytes(self.out / MODEL_FILE, "checkpoint")),
            **provenance(world.device, world.size),
        }
