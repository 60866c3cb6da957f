"""The command ``board``."""

from __future__ import annotations

import argparse
import contextlib


def board(args: argparse.Namespace) -> int:
    """``snn-ssm board``: an emulated SpiNNaker board until it is interrupted."""
    from pynn_models.spinnaker.board import EmulatedBoard

    with EmulatedBoard(args.address) as started, contextlib.suppress(KeyboardInterrupt):
        print(f"board at {args.address}", flush=True)
        started.join()
    return 0
