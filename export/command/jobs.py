"""The command ``job``."""

from __future__ import annotations

import argparse

from export.command.common import UsageError, calibration_of, samples_of
from export.command.output import Output, directory

# What --force may replace: not results, nor a configuration.
_JOB = (
    "run.py", "manifest.py", "payload_*.py", "code", "network", "*.npz", "requirements.txt",
    "spynnaker.cfg.template", "SHA256SUMS",
)


def _refuse_without_board(args: argparse.Namespace) -> None:
    names = ("calibration", "neurons_per_core", "time_scale_factor", "board")
    given = [name for name in names if args.without_board and getattr(args, name) is not None]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for a board, and --without-board makes a job for "
            "NEST and software only. Leave one of them out."
        )


def job(args: argparse.Namespace) -> int:
    """``snn-ssm job``; exit status 1 where a trial (--board emulated) finds a difference."""
    from export.boards import emulated
    from export.boards.config import EMULATED
    from export.description.inspection import verification_table
    from export.description.storage import load_network
    from export.job.make import make_job
    from export.job.preflight import preflight
    from export.job.settings import BoardSettings
    from export.job.trial import try_job
    from export.verification.contract import holds

    _refuse_without_board(args)
    if args.board not in (None, EMULATED):
        raise UsageError(
            f"--board is {args.board}; a job is tried on an emulated board only, and finds its own "
            f"by {args.out / 'spynnaker.cfg'}. Use --board emulated, or leave it out."
        )
    output = Output(args)
    network = load_network(args.network)
    samples = samples_of(network, args.data, args.samples)
    calibration = calibration_of(network, args)
    settings, found = None, None
    if not args.without_board:
        found = preflight(network, samples.inputs, args.neurons_per_core, calibration)
        factor = args.time_scale_factor
        settings = BoardSettings(found.factor if factor is None else factor, args.neurons_per_core)
        output.say(str(found))
        if settings.time_scale_factor < found.factor:
            output.say(
                f"--time-scale-factor {factor} is less than the {found.factor} that is planned: "
                "cores may fall behind"
            )
    with directory(args.out, "job directory", _JOB, args.force) as out:
        digest = make_job(args.network, samples, out, settings, calibration)
    tried = None
    if args.board is not None and settings is not None:
        factor = settings.time_scale_factor
        tried = try_job(args.out, args.network, network, samples, calibration, factor)
        output.say("\n".join([verification_table(tried), *emulated.lines(tried["emulated"])]))
    simulators = "nest|software" if settings is None else "spiNNaker|nest|software"
    output.say(
        f"{args.out}: {len(samples)} samples; SHA-256 of manifest.py {digest}\n"
        f"run it with: python {args.out / 'run.py'} {simulators}"
    )
    output.result(
        {
            "samples": len(samples),
            "manifest_sha256": digest,
            "board": None if settings is None else settings.described(),
            "populations": [] if found is None else list(found.rows),
            **({} if tried is None else {"tried": tried}),
        }
    )
    return 0 if tried is None or (holds(tried) and not tried.get("missing")) else 1
