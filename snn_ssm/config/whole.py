"""The three tables of a configuration together, and what holds between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from snn_ssm.config.checks import require
from snn_ssm.config.model import ModelConfig
from snn_ssm.config.task import TaskConfig
from snn_ssm.config.training import TrainingConfig


@dataclass(frozen=True)
class Config:
    """The three tables of a configuration file."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        count = len(self.training.class_weights)
        require(count in (0, self.model.classes), "training.class_weights", f"{count} weights",
                 f"none, or one for each of model.classes = {self.model.classes}")
        names = len(self.task.classes)
        require(names in (0, self.model.classes), "task.classes", f"{names} names",
                 f"none, or one for each of model.classes = {self.model.classes}")
        model = self.model
        early = model.each_step or model.pair or model.bidirectional
        early = early or model.architecture == "transformer"
        require(not (early and self.training.prefixes), "training.prefixes",
                 self.training.prefixes, "0 with a model that answers at each step, of pairs, or "
                 "that sees a sample at once")
        if self.model.reset == "none" and self.model.cells != "egru":
            require(self.training.through_reset, "training.through_reset", False,
                     "true with model.reset = \"none\"; the reset of lif cells is a constant")
        if not self.model.resets and not self.model.recurrent:
            whole = "with cells that have no reset, and recurrent = false"
            require(self.training.through_time, "training.through_time", False, f"true {whole}")
            require(not self.training.gradient_steps, "training.gradient_steps",
                     self.training.gradient_steps, f"0 {whole}")
