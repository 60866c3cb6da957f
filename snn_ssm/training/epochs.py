"""What an epoch reports, and whether its model is the one to keep."""

from __future__ import annotations

from typing import Any

from snn_ssm.config import Config
from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.progress import LOG
from snn_ssm.training.evaluation import Evaluation, scores_of
from snn_ssm.training.run_state import Progress


def row_of(
    progress: Progress, accuracy: float | None, found: Evaluation, checked: Evaluation | None
) -> dict[str, Any]:
    """An epoch's row in ``metrics.json``.

    ``accuracy``: in training; ``found``: on the test samples; ``checked``: on those that validate.
    """
    seen = progress.seen
    return {
        "epoch": progress.epoch + 1,
        "loss": progress.loss / seen,
        "train_accuracy": accuracy,
        "train_rates": [rate / seen for rate in progress.rates],
        **({} if checked is None else scores_of("valid", checked)),
        **scores_of("test", found),
        "test_rates": found.activity.rates,
        "seconds": progress.seconds,
    }


def tell(
    config: Config, progress: Progress, accuracy: float | None, found: Evaluation,
    checked: Evaluation | None,
) -> None:
    """The same as a line of the log."""
    kind, rates = OUTPUTS[config.model.output], found.activity.rates
    trained = "" if accuracy is None else f"accuracy {100 * accuracy:.2f} % in training, "
    valid = "" if checked is None else f"{kind.headline(checked.metrics)} in validation, "
    tested = f"{kind.headline(found.metrics)} in the test"
    if accuracy is not None and checked is None:
        tested = f"{100 * (found.accuracy or 0.0):.2f} % in the test"
    LOG.info(
        "epoch %d/%d: loss %.4f, %s%s%s; spike rate %.3f; %.0f s of steps so far",
        progress.epoch + 1, config.training.epochs, progress.loss / progress.seen,
        trained, valid, tested, sum(rates) / max(1, len(rates)), progress.seconds,
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
