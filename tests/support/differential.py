"""The differential check: random configurations against a simulator in extended precision.

``PYTHONPATH=tests python -m support.differential 1000 --nest 10`` runs configurations 0 to 999 in
the trained model's steps and in ``software``, every tenth also in NEST, and prints what
``tests/verification/test_differential.py`` counts for fewer. ``--chip 300``: so many further ones
in SpiNNaker's integers and in the C core, under qemu-arm, which must have the same bits; the spikes
need not be those of float64, and are counted.
"""

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from export.pynn import built
from export.software import simulation as software
from snn_ssm.levels import levels
from snn_ssm.model.reference import run_reference
from support.any_configuration import draw
from support.arm import runner
from support.differential_chip import matching, on_chip
from support.extended_simulator import simulate


@dataclass
class Count:
    """Sums over configurations; ``of_ties``: those that were made to have some."""

    configurations: int = 0
    of_ties: int = 0
    membranes: int = 0
    spikes: int = 0
    ties: int = 0
    mismatches: dict = field(default_factory=dict)
    wrong: list = field(default_factory=list)
    chip: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)


def in_nest(network):
    """Whether NEST's cells take the network's input."""
    return network.cells in ("native", "egru") or network.source.encoding != "current"


def trained(case):
    """The trained model's own spikes, by population name."""
    found = run_reference(case.checkpoint, case.samples)
    spikes = {}
    for i, (positive, negative) in enumerate(zip(found.spikes, found.negative, strict=True)):
        spikes[f"layer{i}"] = positive
        if negative is not None:
            spikes[f"layer{i}_negative"] = negative
    return spikes


def compare(count, seed, nest=False):
    """Adds configuration ``seed`` to ``count``."""
    case = draw(seed)
    known = [(level.theta, level.value) for level in levels(case.checkpoint)]
    expected = simulate(case.checkpoint, case.samples, known)
    found = {
        "torch": trained(case),
        "software": software.run(case.network, case.samples).spikes,
    }
    if nest and in_nest(case.network):
        found["nest"] = built.run("nest", case.network, case.samples).spikes
    count.configurations += 1
    count.of_ties += bool(case.tie)
    membranes = sum(s.size for s in expected.spikes.values())
    count.membranes += membranes
    count.spikes += sum(int(s.sum()) for s in expected.spikes.values())
    count.ties += expected.ties
    for name, spikes in found.items():
        assert spikes.keys() == expected.spikes.keys(), case.words
        differ = sum(int((s != expected.spikes[k]).sum()) for k, s in spikes.items())
        runs, total = count.mismatches.get(name, (0, 0))
        count.mismatches[name] = (runs + 1, total + differ)
        if differ:
            count.wrong.append(f"{name}: {differ} spikes, {case.words}")
    # A margin is relative to a neuron's constants, which a gate can close beside tiny sources.
    if expected.ties > case.unequal * membranes / 1000 and not case.tie:
        count.wrong.append(f"{expected.ties} ties that nobody made, {case.words}")


def compare_chip(count, seed, executable):
    """Adds a configuration in SpiNNaker's integers, and in the C core, to ``count``."""
    case = draw(seed, chip=True)
    found = on_chip(executable, case.network, case.samples)
    if isinstance(found, str):
        count.refused[found] += 1
        return
    differ, spikes = matching(found.spikes, software.run(case.network, case.samples).spikes)
    count.chip.update(
        configurations=1, numbers=found.compared, differ=found.differ, acting=found.acting,
        spikes=spikes, other=differ,
    )
    if found.differ:
        count.wrong.append(f"C core: {found.differ} numbers, {case.words}")


def chip_lines(count):
    """What :func:`compare_chip` counted, in words."""
    chip = count.chip
    yield (
        f"spinnaker-software: {chip['configurations']} configurations, {chip['numbers']:,} numbers "
        f"({chip['acting']:,} of neurons with a reset or a history), {chip['differ']} that the C "
        f"core has otherwise; {chip['other']:,} spikes other than software's, of {chip['spikes']:,}"
    )
    if count.refused:
        yield "refused: " + ", ".join(f"{name} {n}" for name, n in sorted(count.refused.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configurations", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--nest", type=int, default=0, help="every so many in NEST, too")
    parser.add_argument("--chip", type=int, default=0, help="so many in integers and C")
    args = parser.parse_args()
    count, begun = Count(), time.perf_counter()
    for seed in range(args.first, args.first + args.configurations):
        compare(count, seed, bool(args.nest) and seed % args.nest == 0)
    with tempfile.TemporaryDirectory() as directory:
        if args.chip:
            executable = runner.build(Path(directory) / "driver", "-marm", "-Ofast")
        for seed in range(args.first, args.first + args.chip):
            compare_chip(count, seed, executable)
    print(f"{count.configurations} configurations, {count.of_ties} of them with ties")
    print(f"{count.membranes:,} membranes, {count.spikes:,} spikes, {count.ties:,} ties")
    for name, (runs, differ) in count.mismatches.items():
        print(f"{name}: {runs} configurations, {differ} mismatched spikes")
    if args.chip:
        print(*chip_lines(count), sep="\n")
    print(*count.wrong, f"{time.perf_counter() - begun:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
