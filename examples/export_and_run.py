"""Lower a checkpoint, run it in software and in NEST, and compare the spikes.

    python examples/export_and_run.py
"""

from pathlib import Path

from export import lower, software
from export.pynn import run
from export.samples import logits
from export.verification import mismatches
from snn_ssm import load_checkpoint
from snn_ssm.tasks import read_samples

HERE = Path(__file__).parent


def main() -> None:
    checkpoint = load_checkpoint(HERE / "checkpoints" / "smnist-binary-s4d")
    samples = read_samples(HERE / "data" / "mnist-test-200.npz").head(10)
    network = lower(checkpoint, encoding="bits", timestep=1.0)

    reference = software.run(network, samples.inputs)
    spiking = run("nest", network, samples.inputs)

    classes = logits(network, samples.inputs, spiking).argmax(axis=1)
    print("classes", classes.tolist(), "labels", samples.labels.tolist())
    print("mismatched spikes:", mismatches(reference, spiking))


if __name__ == "__main__":
    main()
