"""What an epoch reports, and whether its model is the one to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_ssm.config import Config
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.progress import LOG
from snn_ssm.training.evaluation import Evaluation, scores_of
from snn_ssm.training.run_state import Progress

_WHERE = {"valid": "in validation", "test": "in the test"}


def row_of(
    progress: Progress, accuracy: float | None, found: Mapping[str, Evaluation]
) -> dict[str, Any]:
    """An epoch's row in ``metrics.json``.

    ``accuracy``: in training; ``found``: on the samples of a split, by its name; the last one's
    spike rates are told.
    """
    seen, last = progress.seen, list(found)[-1]
    return {
        "epoch": progress.epoch + 1,
        "loss": progress.loss / seen,
        "train_accuracy": accuracy,
        "train_rates": [rate / seen for rate in progress.rates],
        **{key: value for split in found for key, value in scores_of(split, found[split]).items()},
        f"{last}_rates": found[last].activity.rates,
        "seconds": progress.seconds,
    }


def tell(
    config: Config, progress: Progress, accuracy: float | None, found: Mapping[str, Evaluation]
) -> None:
    """The same as a line of the log."""
    kind = OUTPUTS[config.model.output]
    trained = [] if accuracy is None else [f"accuracy {100 * accuracy:.2f} % in training"]
    tested = [f"{kind.headline(each.metrics)} {_WHERE[split]}" for split, each in found.items()]
    if accuracy is not None and list(found) == ["test"]:
        tested = [f"{100 * (found['test'].accuracy or 0.0):.2f} % in the test"]
    rates = list(found.values())[-1].activity.rates
    LOG.info(
        "epoch %d/%d: loss %.4f, %s; spike rate %.3f; %.0f s of steps so far",
        progress.epoch + 1, config.training.epochs, progress.loss / progress.seen,
        ", ".join(trained + tested), sum(rates) / max(1, len(rates)), progress.seconds,
    )


def score_of(config: Config, found: Evaluation) -> float | None:
    """What epochs are chosen by: accuracy, or R^2; None where it cannot be said."""
    score: float | None = found.metrics[OUTPUTS[config.model.output].score]
    return score


def is_best(best: tuple[int, float | None] | None, score: float | None) -> bool:
    """Whether an epoch is better than the best before it, as far as both can be said."""
    if best is None or best[1] is None:
        return True
    return score is not None and score > best[1]
