"""Train a Binary S4D on sequential MNIST from Python: python examples/train.py DATA OUT

DATA holds the four MNIST idx files. The configuration is the one of the shipped checkpoint; with a
third argument it trains on that many images, to try the loop out.
"""

import sys
from dataclasses import replace
from pathlib import Path

from snn_ssm import config, train
from snn_ssm.tasks import Samples, get_task


def main(data: Path, out: Path, count: int | None = None) -> None:
    settings = config.load(Path(__file__).parent / "configs" / "smnist-binary-s4d.toml")
    task = get_task(settings.task.name)
    samples: list[Samples] = [
        task.load(data, split, settings.task).head(count) for split in ("train", "test")
    ]
    if count is not None:
        settings = replace(settings, training=replace(settings.training, epochs=1))
    metrics = train(settings, samples[0], samples[1], out)
    print(f"test accuracy {metrics['test_accuracy']:.2%}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(n) for n in sys.argv[3:4]))
