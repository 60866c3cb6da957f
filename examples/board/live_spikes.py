"""Live spikes: sent into a run from this computer, and received from it while it goes on."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pyNN.spiNNaker as sim

SENT = tuple(range(10))
received: list[tuple[int, int]] = []


def send(label: str, connection: Any) -> None:
    """Called when the simulation starts: one spike for each neuron."""
    time.sleep(0.2)
    for neuron in SENT:
        connection.send_spike(label, neuron)


def receive(label: str, tick: int, neurons: Sequence[int]) -> None:
    """Called with the spikes of a tick."""
    received.extend((tick, neuron) for neuron in neurons)


sim.setup(timestep=1.0)
connection = sim.external_devices.SpynnakerLiveSpikesConnection(
    send_labels=["injector"], receive_labels=["neurons"], local_port=None
)
injector = sim.Population(
    10, sim.external_devices.SpikeInjector(database_notify_port_num=connection.local_port),
    label="injector",
)  # fmt: skip
neurons = sim.Population(10, sim.IF_curr_exp(), label="neurons")
sim.Projection(injector, neurons, sim.OneToOneConnector(), sim.StaticSynapse(60.0, 1.0))
sim.external_devices.activate_live_output_for(
    neurons, database_notify_port_num=connection.local_port
)
connection.add_start_resume_callback("injector", send)
connection.add_receive_callback("neurons", receive)
neurons.record("spikes")
sim.run(3000.0)
recorded = [
    (float(t), i)
    for i, train in enumerate(neurons.get_data("spikes").segments[0].spiketrains)
    for t in train
]
sim.end()
print(json.dumps({"received": sorted(received), "recorded": sorted(recorded)}))
