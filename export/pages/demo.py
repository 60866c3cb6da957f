"""The main job on shipped data and a shipped checkpoint: export, run, verify, report."""

from __future__ import annotations

import datetime
import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.description.inspection import describe, verification_table
from export.description.network import Network
from export.description.storage import NETWORK_FILE, load_network, save_network
from export.lowering.network import lower
from export.pages.report import write_report
from export.verification.backends import runners, verify_backends
from export.verification.contract import holds
from pynn_models.errors import SnnSsmError
from snn_ssm import shipped
from snn_ssm.checkpoint import MODEL_FILE, load_checkpoint
from snn_ssm.files import read_bytes, sha256, write_atomic
from snn_ssm.tasks import read_samples

if TYPE_CHECKING:
    from snn_ssm.tasks import Samples

BACKENDS = ("torch", "software", "nest")


class DemoError(SnnSsmError):
    """A number of images that the demo does not have."""


def write_page(
    path: Path,
    network: Network,
    checkpoint: Path,
    samples: Samples,
    names: Sequence[str],
    result: dict[str, Any],
) -> None:
    """The HTML report; its membrane is that of the last layer's neuron of a rate nearest 0.3.

    ``result`` is what :func:`export.verification.verify` found on ``samples`` with the backends
    ``names``.
    """
    first = samples.head(1).inputs
    layer = network.layers[-1].name
    compared, _ = runners(names, network, checkpoint)
    every = [p.name for p in network.layers]
    recordings = {
        name: run(first, every if name == result["reference"] else [layer])
        for name, run in compared.items()
    }
    recording = recordings[result["reference"]]
    rates = recording.spikes[layer][0].mean(axis=0)  # (H,)
    neuron = int(np.abs(rates - 0.3).argmin())  # one that crosses its threshold now and then
    write_report(
        path,
        network,
        samples.inputs,
        samples.labels,
        np.array(result["predictions"]),
        recording,
        {name: found.membranes[layer][0, :, neuron] for name, found in recordings.items()},
        result,
        layer=layer,
        neuron=neuron,
        provenance=_provenance(checkpoint, samples),
        lengths=samples.lengths,
        title=_title(network, samples),
    )


def _title(network: Network, samples: Samples) -> str:
    """The task, or the name of a user's own data."""
    task = str(network.origin.get("task", {}).get("name", "network"))
    return samples.source.partition("/")[0] if task == "own" and samples.source else task


def _provenance(checkpoint: Path, samples: Samples) -> dict[str, str]:
    """What a page was made of, and how."""
    digest = sha256(read_bytes(checkpoint / MODEL_FILE, "checkpoint"))
    return {
        "data": f"{samples.source or 'test samples of the task'}, {len(samples)} samples",
        "SHA-256 of the samples": samples.digest(),
        "checkpoint": str(checkpoint),
        "SHA-256 of its arrays": digest,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC"),
    }


def run_demo(out: Path, count: int) -> int:
    """Checkpoint -> network -> torch, software and NEST on ``count`` images -> table and report.

    Returns 0 if every row of the contract holds, else 1. Writes ``network/``, ``verify.json`` and
    ``report.html`` into ``out``, in place of those of an earlier demo.
    Raises :class:`DemoError`, and ``ShippedError`` where the shipped files are missing.
    """
    begun = time.perf_counter()
    trained = shipped.checkpoint()
    samples = read_samples(shipped.images())
    if not 1 <= count <= len(samples):
        raise DemoError(f"--samples is {count}; the demo ships {len(samples)} images.")
    samples = samples.head(count)
    folder = out / "network"
    if (folder / NETWORK_FILE).is_file():
        shutil.rmtree(folder)
    save_network(lower(load_checkpoint(trained)), folder)
    network = load_network(folder)
    print(describe(network), end="\n\n")
    result = verify_backends(BACKENDS, network, trained, samples)
    write_atomic(out / "verify.json", json.dumps(result, indent=1).encode())
    write_page(out / "report.html", network, trained, samples, BACKENDS, result)
    print("\n" + verification_table(result))
    print(f"\nfigures: {out / 'report.html'}; {time.perf_counter() - begun:.0f} s in all")
    return 0 if holds(result) else 1
