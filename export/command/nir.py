"""``snn-ssm nir export`` and ``snn-ssm nir import``: networks for, and from, other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from export.command.output import ExistsError, Output, directory
from export.interchange import ENCODINGS, SEMANTICS
from snn_ssm.files import writable

TEXT = "exchange networks as NIR graphs (snnTorch, Norse, Sinabs, SpikingJelly, ...)"
_NETWORK = ("network.json", "arrays.safetensors", "confidence.json")  # what --force may replace


def export(args: argparse.Namespace) -> int:
    """``snn-ssm nir export``."""
    from export.description.multiplicity import in_units
    from export.description.storage import load_network
    from export.interchange import save_nir

    if args.file.exists() and args.file.is_file() and not args.force:
        raise ExistsError(
            f"{args.file} exists; nothing was written. Name another file, or replace it with "
            "--force."
        )
    writable(args.file)
    network = load_network(args.network)
    save_nir(in_units(network) if args.units else network, args.file)
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``snn-ssm nir export`` and ``snn-ssm nir import``."""
    commands = parser.add_subparsers(
        dest="direction", required=True, metavar="COMMAND", help="which way"
    )

    def add(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        command.add_argument(
            "--quiet", action="store_true", help="no progress: errors only, and the answer"
        )
        command.add_argument(
            "--force", action="store_true", help="replace outputs that exist"
        )
        return command

    command = add("export", export, "a network as a NIR graph, with all that rebuilds it")
    command.add_argument(
        "network", type=Path, metavar="NETWORK", help="a directory that export wrote"
    )
    command.add_argument("file", type=Path, metavar="F.nir", help="the file to write")
    command.add_argument(
        "--units", action="store_true",
        help="a population of integer spikes as one for each spike of a step, of binary spikes",
    )

    command = add("import", import_, "a network from a NIR graph, of ours or of others")
    command.add_argument("file", type=Path, metavar="F.nir", help="a file that nir.write wrote")
    command.add_argument("network", type=Path, metavar="NETWORK", help="a new directory")
    command.add_argument(
        "--semantics", choices=list(SEMANTICS),
        help="what its neurons do in a step (default: what the graph's metadata says)",
    )
    command.add_argument(
        "--dt", type=float, metavar="S", help="the sender's step in seconds (default: his own)"
    )
    command.add_argument(
        "--steps", type=int, metavar="N", help="of a sample (default: what its metadata says)"
    )
    command.add_argument(
        "--input", choices=list(ENCODINGS),
        help="current: any values; spikes: 0 or 1, which boards need (default: current)",
    )
    command.add_argument(
        "--timestep", type=float, metavar="MS", help="of the simulator, in ms (default: 1.0)"
    )
    command.add_argument(
        "--json", type=Path, metavar="F", help="the answer as JSON (-: standard output)"
    )
