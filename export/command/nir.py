"""``snn-ssm nir export`` and ``snn-ssm nir import``: networks for, and from, other programs."""

from __future__ import annotations

import argparse

from export.command.output import ExistsError, Output, directory
from snn_ssm.files import writable

_NETWORK = ("network.json", "arrays.safetensors", "confidence.json")  # what --force may replace


def export(args: argparse.Namespace) -> int:
    """``snn-ssm nir export``."""
    from export.description.storage import load_network
    from export.interchange import save_nir

    if args.file.exists() and args.file.is_file() and not args.force:
        raise ExistsError(
            f"{args.file} exists; nothing was written. Name another file, or replace it with "
            "--force."
        )
    writable(args.file)
    save_nir(load_network(args.network), args.file)
    print(f"{args.file}: {args.file.stat().st_size} bytes")
    return 0


def import_(args: argparse.Namespace) -> int:
    """``snn-ssm nir import``."""
    from export.description.inspection import describe
    from export.description.storage import save_network
    from export.interchange import Options, load_nir

    output = Output(args)
    options = Options(args.semantics, args.dt, args.steps, args.input, args.timestep)
    network = load_nir(args.file, options)
    with directory(args.network, "network directory", _NETWORK, args.force) as out:
        save_network(network, out)
    output.say(describe(network))
    output.result(
        {
            "populations": [p.name for p in network.populations],
            "neurons": sum(p.size for p in network.populations),
            "synapses": sum(p.n_synapses for p in network.projections),
        }
    )
    return 0
