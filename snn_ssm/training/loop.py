"""One plain training loop: AdamW, linear warm-up and cosine decay, checkpoint and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snn_ssm.config import Config
from snn_ssm.files import was_cut_short
from snn_ssm.progress import LOG
from snn_ssm.tasks import Samples
from snn_ssm.tasks.checks import check_samples
from snn_ssm.training import compilation
from snn_ssm.training.batches import check_shares
from snn_ssm.training.distributed import join
from snn_ssm.training.run import Run
from snn_ssm.training.run_state import TrainingError


def train(
    config: Config,
    train_samples: Samples,
    test_samples: Samples | None,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    init: Path | None = None,
    compile_step: bool = False,
    valid_samples: Samples | None = None,
) -> dict[str, Any]:
    """Train a network into the directory ``out`` and return its metrics.

    ``init``: a checkpoint to start from; a resumed run goes on from its own state instead, and
    starts where it was killed before it had one. The test samples are only reported on, never
    selected by: the checkpoint is that of the last epoch, or with ``training.select = "valid"`` of
    the best one on ``valid_samples``. With ``test_samples`` None these alone are reported on.
    Started by ``torchrun``, every process trains on its share of each batch and the first one
    writes. Raises ``FileError`` where ``out`` exists and ``resume`` is not set, ``StartError``
    where the model of ``init`` is another, ``DataError`` for samples that the model is not made
    for, ``CompilationError`` where the step cannot be compiled and on the CPU,
    :class:`TrainingError` where there is nothing to test or validate with, where the loss diverges
    or the run cannot be resumed, ``KeyboardInterrupt`` on SIGINT or SIGTERM once the state is
    saved.
    """
    world = join(device)
    if compile_step:
        compilation.require_gpu(world.device)
    run = Run(config, Path(out), world, compile_step)
    check_shares(config, train_samples, world.size)
    if config.training.select == "valid" and valid_samples is None:
        raise TrainingError(
            "training.select is 'valid', and there are no samples to validate with. Add a "
            "valid.npz, hold some out with --set task.valid_samples=N, or select the last epoch."
        )
    if test_samples is None and valid_samples is None:
        raise TrainingError(
            "there are neither samples to test on nor any to validate with; expected one of them, "
            "to say how good the model is. Give test_samples or valid_samples."
        )
    splits = {"train": train_samples, "valid": valid_samples, "test": test_samples}
    given = {split: samples for split, samples in splits.items() if samples is not None}
    others = {split: samples for split, samples in given.items() if split != "train"}
    uses = {"train": "train on", "test": "test on", "valid": "validate with"}
    for name, samples in given.items():
        check_samples(samples, config.model, f"those to {uses[name]}")
    data = {name: samples.digest() for name, samples in given.items()}
    if resume and not run.world.first(was_cut_short(run.out)):
        run.load_state(data)
    else:
        run.start(init, data)
    while run.progress.epoch < config.training.epochs:
        run.epoch(train_samples)
        run.finish_epoch(train_samples, others)
    metrics = dict(world.first(run.metrics() if world.rank == 0 else None))
    for warning in metrics.get("warnings", ()):
        LOG.warning("warning: %s", warning)
    world.meet()
    return metrics
