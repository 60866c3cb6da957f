"""The table ``[training]``: how the network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snn_ssm.config.checks import FASTEST, one_of, require

PRECISIONS = ("float32", "bf16")
LOSSES = ("mse", "huber")  # of values
SELECTIONS = ("last", "valid")
_SEEDS = 2**63


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained: AdamW, linear warm-up, cosine decay, gradient clipping.

    ``precision``: ``bf16`` keeps parameters, modes and norms in float32 and multiplies matrices in
    bfloat16. ``rate_penalty`` times the mean over layers of ``max(0, spike rate - rate_target)^2``
    is added to the loss. ``class_weights``: what the loss of a sample of each class is multiplied
    by, or of each label or value; empty: 1 for all. ``select``: the model is that of the ``last``
    epoch, or of the best one on the samples that validate (``valid``). ``value_loss``: of values,
    the error's square (``mse``), or linear beyond ``huber_delta`` (``huber``). ``sparsity``: the
    share of each mixing matrix that is pruned to 0 over the first half of training, in which
    learned delays settle, too. ``gradient_noise``: the standard deviation, at the first step, of
    what is added to gradients. ``prefixes``: P, how many beginnings of a sample are to be answered
    rightly, too, the first j / P of it; 0: none. Of cells with a reset and of recurrent layers,
    ``through_time = false`` lets no gradient go from a step to the one before, and
    ``gradient_steps`` gives one to so many steps of a batch, drawn at random (0: all): SLTT and
    SLTT-K. ``through_reset = false``: the reset of a native cell is a constant in the gradient.
    """

    epochs: int = 20
    batch_size: int = 64
    rate: float = 1e-2
    mode_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    seed: int = 0
    precision: str = "float32"
    rate_penalty: float = 0.0
    rate_target: float = 0.0
    class_weights: tuple[float, ...] = ()
    sparsity: float = 0.0
    gradient_noise: float = 0.0
    through_time: bool = True
    gradient_steps: int = 0
    through_reset: bool = True
    prefixes: int = 0
    select: str = "last"
    value_loss: str = "mse"
    huber_delta: float = 1.0

    def __post_init__(self) -> None:
        require(self.epochs > 0, "training.epochs", self.epochs, "a positive integer")
        require(self.batch_size > 0, "training.batch_size", self.batch_size, "a positive integer")
        require(0 < self.clip < math.inf, "training.clip", self.clip, "a positive number")
        for key in ("rate", "mode_rate"):
            value = getattr(self, key)
            require(0 < value <= FASTEST, f"training.{key}", value,
                     f"a positive number up to {FASTEST:g}")
        require(0 <= self.weight_decay <= FASTEST, "training.weight_decay", self.weight_decay,
                 f"0 to {FASTEST:g}")
        require(0 <= self.warmup < 1, "training.warmup", self.warmup, "a fraction below 1")
        require(0 <= self.seed < _SEEDS, "training.seed", self.seed, f"0 to {_SEEDS - 1}")
        one_of("training.precision", self.precision, PRECISIONS)
        require(0 <= self.rate_penalty < math.inf, "training.rate_penalty", self.rate_penalty,
                 "0 or a positive number")
        require(0 <= self.rate_target < 1, "training.rate_target", self.rate_target,
                 "a spike rate, 0 <= rate < 1")
        for i, weight in enumerate(self.class_weights):
            require(0 < weight <= FASTEST, f"training.class_weights[{i}]", weight,
                     f"a positive number up to {FASTEST:g}")
        require(0 <= self.sparsity < 1, "training.sparsity", self.sparsity,
                 "a share of zeros, 0 <= share < 1")
        require(0 <= self.gradient_noise <= FASTEST, "training.gradient_noise",
                 self.gradient_noise, f"0 to {FASTEST:g}")
        require(self.prefixes >= 0 and self.prefixes != 1, "training.prefixes", self.prefixes,
                 "0 (none), or 2 and more")
        require(self.gradient_steps >= 0, "training.gradient_steps", self.gradient_steps,
                 "0 (all) or a positive number of steps")
        one_of("training.select", self.select, SELECTIONS)
        one_of("training.value_loss", self.value_loss, LOSSES)
        require(0 < self.huber_delta <= FASTEST, "training.huber_delta", self.huber_delta,
                 f"a positive number up to {FASTEST:g}")
