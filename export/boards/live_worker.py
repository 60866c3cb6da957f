"""A network live on a board, in a process of its own: spikes come in while it runs, and go out.

``python -m export.boards.live_worker DIR`` reads ``request.json`` and ``network/`` of a directory.
A line of standard input holds the numbers of the input neurons that spike now. On standard output,
a JSON array a line: ``["start"]``, ``["spikes", population, tick, neurons]`` as they leave the
board, ``["clock", tick]`` once a tick, and last ``["end"]``, when ``recording.safetensors`` holds
what the board recorded of input and layers, or ``["error", type, message]``.
:mod:`export.boards.live` is the other end.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from export.boards.config import use_configuration
from export.boards.worker import NETWORK, RECORDING, REQUEST, explain
from export.description.storage import load_network
from export.pynn.built import build, setup_arguments, simulator
from export.pynn.registry import board_backend
from export.samples.recording import Recording
from pynn_models.errors import SnnSsmError

CLOCK = "clock of the live output"


def _tell(out: TextIO, *what: Any) -> None:
    out.write(json.dumps(what) + "\n")
    out.flush()


def _feed(connection: Any, label: str) -> None:
    """Send what standard input says, line by line, until it ends."""
    for line in sys.stdin:
        neurons = [int(word) for word in line.split()]
        if neurons:
            connection.send_spikes(label, neurons)


def work(directory: Path, out: TextIO) -> None:
    """Build with a live input and live outputs, run for the network's steps, and read back."""
    request = json.loads((directory / REQUEST).read_text())
    use_configuration(directory, os.environ)
    os.chdir(directory)
    network = load_network(directory / NETWORK)
    sim = simulator("spinnaker")
    sim.setup(**setup_arguments("spinnaker", network))
    label, layers = network.source.name, [p.name for p in network.layers]
    connection = sim.external_devices.SpynnakerLiveSpikesConnection(
        send_labels=[label], receive_labels=[label, *layers, CLOCK], local_port=None
    )
    port = connection.local_port
    injector = sim.Population(
        network.source.size, sim.external_devices.SpikeInjector(database_notify_port_num=port),
        label=label,
    )  # fmt: skip
    backend = board_backend(network, request["neurons_per_core"])
    built = build(sim, network, backend=backend, source=injector)
    built.record()
    times = (np.arange(network.steps) * network.timestep).tolist()
    clock = sim.Population(1, sim.SpikeSourceArray(spike_times=times), label=CLOCK)
    for population in (injector, *(built.populations[name] for name in layers), clock):
        sim.external_devices.activate_live_output_for(population, database_notify_port_num=port)

    sent = np.zeros((network.steps, network.source.size), np.uint8)

    def heard(name: str, tick: int, neurons: Sequence[int]) -> None:
        if name == label and tick < len(sent):
            np.add.at(sent[int(tick)], np.array(neurons, np.int64), 1)
        if name == CLOCK:
            _tell(out, "clock", int(tick))
        else:
            _tell(out, "spikes", name, int(tick), [int(n) for n in neurons])

    def started(name: str, connection: Any) -> None:
        _tell(out, "start")
        threading.Thread(target=_feed, args=(connection, name), daemon=True).start()

    for name in (label, *layers, CLOCK):
        connection.add_receive_callback(name, heard)
    connection.add_start_resume_callback(label, started)
    try:
        sim.run(built.duration)
    except Exception as error:
        raise explain(error, request["board"]) from error
    found = built.recording()
    spikes = {label: sent[None], **found.spikes}
    Recording(found.backend, found.timestep, spikes).save(directory / RECORDING)
    sim.end()
    _tell(out, "end")


def main(directory: Path) -> int:
    """Run :func:`work`, with sPyNNaker's own words on standard error; what is refused is told."""
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        try:
            work(directory, out)
        except SnnSsmError as error:
            _tell(out, "error", type(error).__name__, str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
