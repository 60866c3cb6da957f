"""``--chunk I/N`` of ``run`` and ``predict``: a part of the samples, recorded as a job's are.

The parts of one run write into one directory; ``verify --recording`` and ``predict --recording``
read them as a whole.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from export.command.common import UsageError
from pynn_models.errors import SnnSsmError
from pynn_models.ranks import world

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from export.command.output import Output
    from export.description.network import Network
    from export.samples.recording import Recording
    from export.verification.backends import Options

_AT_ONCE = 100  # samples in one run of the simulator


class IncompleteError(SnnSsmError):
    """A directory of recorded parts in which samples are missing."""


def check_chunk(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for what does not go together with ``--chunk``."""
    from export.job.chunk import RECORDED

    if args.chunk is None:
        return
    if args.backend not in RECORDED:
        raise UsageError(
            f"--chunk is given, and runs of the backend {args.backend} are not recorded in parts; "
            f"expected one of {', '.join(RECORDED)}. For a board use 'snn-ssm job', and run.py "
            "--part."
        )
    if args.out is None and world().is_first:  # the others write nothing
        raise UsageError(
            "--chunk is given without --out; expected the directory in which all parts of the run "
            "are recorded. Give --out DIR, the same one to each."
        )
    for name in ("calibration", "confidence", "coverage"):
        if getattr(args, name) is not None:
            raise UsageError(
                f"--{name} does not go with --chunk, which records spikes only. Leave it out"
                + ("." if name == "calibration" else "; 'snn-ssm verify --recording' takes it.")
            )


def record(
    args: argparse.Namespace, network: Network, inputs: NDArray[Any], labels: NDArray[Any] | None,
    lengths: NDArray[np.int64] | None, options: Options, output: Output,
) -> None:
    """Run this part of the samples, some at a time, and say what the directory holds then.

    Samples that the directory has are not run again. Raises ``JobError`` for no part, and for a
    directory that holds another run's results.
    """
    from export.job.chunk import Identity, inputs_digest, network_digest
    from export.job.inputs import Given
    from export.job.parts import part_of
    from export.job.recorder import SUMMARY_FILE, Recorder
    from export.samples.readout import needed_membranes
    from export.verification.backends import runner
    from snn_ssm import __version__

    part = part_of(args.chunk, "--chunk")
    execute, membranes = runner(args.backend, network, options), needed_membranes(network)
    whose = Identity(
        args.backend, network_digest(args.network), inputs_digest(inputs), len(inputs)
    )
    say: Callable[[str], None] = (lambda text: None) if args.quiet else output.say
    count = Recorder(
        network, Given(inputs, labels, lengths), lambda some: execute(some, membranes), args.out,
        whose, __version__, part, say=say,
    ).run(_AT_ONCE)
    if args.out is None:  # of a process that does not write
        return
    found = json.loads((args.out / SUMMARY_FILE).read_bytes())
    output.say(
        f"{args.out}: part {part}, {count} samples run now; {found['samples_done']} of "
        f"{found['samples']} are there"
    )
    output.result({"backend": args.backend, "part": str(part), "run": count, **found})


def recorded_parts(
    results: Path, directory: Path, network: Network, inputs: NDArray[Any]
) -> tuple[str, Iterator[tuple[slice, Recording]]]:
    """By what the samples in a directory were run; and which ones, and their recording, in order.

    Raises ``JobError`` for parts of another network or other samples, :class:`IncompleteError`
    where some of the samples are missing.
    """
    from export.job.chunk import SIMULATORS
    from export.job.results import check_results, gaps, read_chunks, recorded

    chunks, broken = read_chunks(results)
    check_results(chunks, broken, directory, inputs, results)
    missing = gaps(chunks, len(inputs))
    if missing:
        ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in missing)
        why = "".join(f" {path.name}: {reason}." for path, reason in broken.items())
        raise IncompleteError(
            f"{results} lacks the samples {ranges} of {len(inputs)}.{why} Run the parts that have "
            "these once more, with the same --out."
        )
    parts = ((slice(c.start, c.stop), recorded(results, c, network)) for c in chunks)
    return SIMULATORS.get(chunks[0].simulator, chunks[0].simulator), parts
