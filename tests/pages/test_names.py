"""Names in files are names: no mathematics in figures, cells of tables, or codes of terminals."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.drawn_network import NETWORK, SAMPLES

from export.command.arguments import main
from export.command.terminal import Printed
from export.description import storage
from export.description.network import Network, Population, Projection, Source
from export.description.storage import StorageError
from export.pages.answer_figures import plot_spike_rates
from export.pages.figure_style import plain
from export.pages.figures import plot_input_and_rasters, plot_membranes
from export.pages.mode_figures import plot_modes
from export.software import simulation as software
from pynn_models.errors import printable
from snn_ssm.files import pack_arrays, sha256, write_atomic
from snn_ssm.results.page import _text

HOSTILE = ("$x_{$", "$\\frac{$ and $", "$$", "a$b", "\\$x_{\\$", "<script>", "a|b")


def renamed(network, name):
    """The network with its first layer and its input called ``name`` and ``name`` 2."""
    old, source = network.populations[0].name, network.source.name
    new = {old: name, source: f"{name} 2"}
    first = network.populations[0]
    return Network(
        network.timestep, network.steps,
        Source(new[source], network.source.encoding, network.source.channels, network.source.bits),
        (Population(name, first.cell, first.latency), *network.populations[1:]),
        tuple(
            Projection(new.get(p.source, p.source), new.get(p.target, p.target), p.weights, p.delay)
            for p in network.projections
        ),
        network.readout, network.origin, network.cells,
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_figures_are_drawn_with_any_name(name):
    network = renamed(NETWORK, name)
    recording = software.run(network, SAMPLES)
    figures = [
        plot_input_and_rasters(network, SAMPLES[0], recording),
        plot_membranes({name: np.zeros(4), "b": np.ones(4)}, 1.0, 1.0),
        plot_spike_rates({name: 0.25, f"{name} {name}": 0.5}),
        plot_modes(network),
    ]
    for drawn in figures:
        figure = drawn if isinstance(drawn, Figure) else drawn.figure
        figure.draw_without_rendering()  # texts are parsed and laid out


def test_a_plain_text_is_drawn_as_it_is():
    axes = Figure().add_subplot()
    label = axes.set_title(plain("cost $5, $x_{$"))
    assert label._preprocess_math(label.get_text()) == ("cost $5, $x_{$", False)


# Terminals.

def test_a_printable_text():
    assert printable("a\x1b[2Jé\n\tb\x07\x9b") == "a\\x1b[2Jé\n\tb\\x07\\x9b"
    assert printable("\u202eabc") == "\\u202eabc"


def test_what_is_printed_cannot_steer_the_terminal(capsys):
    import sys

    stream = Printed(sys.stdout)
    print("\x1b]0;title\x07 text", file=stream, flush=True)
    assert capsys.readouterr().out == "\\x1b]0;title\\x07 text\n"
    assert stream.encoding == sys.stdout.encoding


def write_network(directory, change):
    """A network whose description ``change`` altered, its digests made to fit."""
    storage.save_network(NETWORK, directory)
    description = json.loads((directory / "network.json").read_text())
    del description["arrays_sha256"]
    change(description)
    arrays = storage._arrays(NETWORK)
    canonical = json.dumps(description, sort_keys=True).encode()
    data = pack_arrays(arrays, {"description_sha256": sha256(canonical)})
    write_atomic(directory / "arrays.safetensors", data)
    text = json.dumps(description | {"arrays_sha256": sha256(data)})
    write_atomic(directory / "network.json", text.encode())
    return directory


def set_key(*keys):
    *path, last, value = keys

    def change(description):
        for key in path:
            description = description[key]
        description[last] = value

    return change


@pytest.mark.parametrize(("change", "found"), [
    (set_key("origin", []), "origin is []"),
    (set_key("origin", "task"), "origin is 'task'"),
    (set_key("origin", "task", 5), "origin.task is 5"),
    (set_key("origin", {"task": {"name": ["x"]}}), "origin.task.name is ['x']"),
    (set_key("source", "name", "\x1b[2J"), "source.name is '\\\\x1b[2J'"),
    (set_key("populations", 0, "name", 5), "populations[0].name is 5"),
    (set_key("populations", 0, "latency", 1.0), "populations[0].latency is 1.0"),
    (set_key("populations", {}), "populations is {}"),
    (set_key("projections", 0, "delay", True), "projections[0].delay is True"),
    (set_key("projections", 0, None), "projections[0] is None"),
    (set_key("steps", 10**12), "steps is 1000000000000"),
    (set_key("steps", 20.0), "steps is 20.0"),
    (set_key("timestep", "1"), "timestep is '1'"),
    (set_key("readout", 7), "readout is 7"),
])
def test_a_field_of_another_kind_is_named(tmp_path, capsys, change, found):
    directory = write_network(tmp_path / "n", change)
    with pytest.raises(StorageError) as caught:
        storage.load_network(directory)
    assert found in str(caught.value)
    assert main(["inspect", str(directory)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_the_name_of_a_file_cannot_steer_the_terminal(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "\x1b[2J")]) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\\x1b[2J" in err


# Pages.

def test_a_text_in_a_table_of_markdown():
    assert _text("Binary S4D, linear (x86_64)") == "Binary S4D, linear (x86_64)"
    assert _text("a|b\n<b> [x](y) *`\\") == "a\\|b &lt;b&gt; \\[x\\](y) \\*\\`\\\\"
