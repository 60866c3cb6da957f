"""The README's figure, from the shipped checkpoint in NEST.

    python docs/rasters.py docs/rasters.png
"""

import sys
from pathlib import Path

from export.lowering.network import lower
from export.pages.figures import plot_input_and_rasters
from export.pynn.built import run
from snn_ssm import load_checkpoint, shipped
from snn_ssm.tasks import read_samples


def main(out: Path) -> None:
    network = lower(load_checkpoint(shipped.checkpoint()))
    samples = read_samples(shipped.images()).head(1)
    recording = run("nest", network, samples.inputs)
    plot_input_and_rasters(network, samples.inputs[0], recording).savefig(out, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
