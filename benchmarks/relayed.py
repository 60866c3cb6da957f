"""A relayed residual stream against a folded one: the shipped GSU network in NEST.

Compared: the time of ``sim.run`` for the network that ``snn-ssm export --residual relayed`` makes,
and for that of ``--residual folded``, of the same checkpoint and on the same images. Every spike
must be the same. Printed beside it: synapses with a weight, and what SpiNNaker 1 is estimated to
need where each neuron spikes in 15 % of the steps.

Target: at least 3 x as fast.
"""

from __future__ import annotations

import argparse

import _timing  # first, see there
import numpy as np
from simulate import through_pynn

from export.boards.cost import budgets, time_scale, traffic_of
from export.lowering.lowerable import RESIDUALS
from export.lowering.network import lower
from export.pynn.registry import board_backend
from export.samples.recording import Recording
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.shipped import checkpoint, images

TARGET = 3.0


def main() -> None:
    """Print the two times, their ratio, and the sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=2)
    args = parser.parse_args()
    print(_timing.machine())
    trained = load_checkpoint(checkpoint("smnist-gsu"))
    networks = {residual: lower(trained, residual=residual) for residual in RESIDUALS}
    samples = np.load(images())["inputs"][: args.samples]
    found: dict[str, Recording] = {}

    def run(residual: str) -> _timing.Elapsed:
        taken, found[residual] = through_pynn(networks[residual], samples)
        return taken

    folded, relayed = _timing.interleave(
        {residual: lambda residual=residual: run(residual) for residual in RESIDUALS},  # type: ignore[misc]
        args.repetitions,
    )
    one, other = (found[residual].spikes for residual in RESIDUALS)
    differ = sum(int((one[name] != other[name]).sum()) for name in one)
    total = sum(int(spikes.sum()) for spikes in one.values())
    _timing.require(differ == 0 and one.keys() == other.keys(), f"all of {total:,} spikes")
    for residual, network in networks.items():
        synapses = sum(np.count_nonzero(p.weights) for p in network.projections)
        rows = budgets(network, board_backend(network), 1, traffic_of(network, samples))
        most = max(row.planned for row in rows)
        factor = time_scale(most, network.timestep)
        print(
            f"  {residual}: {synapses:,} synapses; SpiNNaker 1: {most:,} instructions in a "
            f"core's longest tick, time scale factor {factor}"
        )
    _timing.verdict("relayed", _timing.ratio(folded, relayed), TARGET, " x")


if __name__ == "__main__":
    main()
