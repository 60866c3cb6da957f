"""Figures: what is drawn and how it is labelled; the page: one sound, self-contained file."""

import base64
import html.parser
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from gated_networks import gated_network_of, leaky_network_of, lowered, samples_for
from matplotlib.figure import Figure

from export import figures, report, software
from export.figures import ReportError
from export.network import Network, Population, Projection, Readout, Source
from export.recording import Recording
from pynn_models.cells import LeakyCell, StateSpaceCell

CHANNELS, STEPS, NEURONS = 2, 40, 3
LAYERS = ["layer0", "layer1"]
VOID = {"meta", "img"}


def cell(rng, *, complex_modes=True):
    shape = (NEURONS, 2)
    return StateSpaceCell(
        tau=rng.uniform(2, 30, shape),
        c_re=rng.standard_normal(shape),
        d=rng.standard_normal(NEURONS),
        theta=np.full(NEURONS, 0.5),
        bias=np.zeros(NEURONS),
        omega=rng.uniform(-3, 3, shape) if complex_modes else None,
        c_im=rng.standard_normal(shape) if complex_modes else None,
    )


def make_network(*, timestep=1.0, complex_modes=True):
    rng = np.random.default_rng(7)
    populations = [
        Population(name, cell(rng, complex_modes=complex_modes), i + 1)
        for i, name in enumerate(LAYERS)
    ]
    accumulator = StateSpaceCell(
        tau=np.full((2, 1), np.inf), c_re=np.ones((2, 1)), d=np.zeros(2),
        theta=np.full(2, np.inf), bias=np.zeros(2),
    )
    first = np.zeros((CHANNELS, NEURONS))
    first[0] = 1.0  # channel 0 reaches each neuron with weight 1
    return Network(
        timestep=timestep,
        steps=STEPS,
        source=Source("input", "current", CHANNELS),
        populations=(*populations, Population("readout", accumulator, 3)),
        projections=(
            Projection("input", "layer0", first, 1),
            Projection("layer0", "layer1", rng.standard_normal((NEURONS, NEURONS)), 1),
            Projection("layer1", "readout", rng.standard_normal((NEURONS, 2)), 1),
        ),
        readout=Readout("readout", "mean"),
        origin={"task": {"name": "smnist"}},
    )


@pytest.fixture
def network():
    return make_network()


@pytest.fixture
def samples():
    return np.random.default_rng(1).standard_normal((4, CHANNELS, STEPS))


@pytest.fixture
def recording(network, samples):
    return software.run(network, samples, membranes=LAYERS)


@pytest.fixture
def verification():
    found = {"mismatched_spikes": 0, "accuracy": 0.75, "seconds": 1.5, "first_divergence": None}
    divergence = {"sample": 2, "layer": "layer1", "neuron": 0, "step": 9, "margin": None}
    return {
        "samples": 4,
        "spikes": 12345,
        "spike_rate": 0.25,
        "backends": {
            "software": found,
            "nest": found | {"mismatched_spikes": 3, "first_divergence": divergence},
        },
        "contract": {"E2": True, "E3": False},
        "versions": {"numpy": "2.0"},
    }


def labels_of(axes):
    return axes.get_xlabel(), axes.get_ylabel()


# Figures


def test_rasters_show_the_input_and_every_layer_in_milliseconds(samples):
    network = make_network(timestep=0.5)
    recording = software.run(network, samples)
    drawn = figures.plot_input_and_rasters(network, samples[2], recording, 2)
    assert isinstance(drawn, Figure)
    top, *panels = drawn.axes
    assert len(panels) == len(LAYERS)
    for patch, values in zip(top.patches, samples[2], strict=True):
        assert np.array_equal(patch.get_data().values, values)
        assert np.array_equal(patch.get_data().edges, np.arange(STEPS + 1) * 0.5)
    for panel, name in zip(panels, LAYERS, strict=True):
        spikes = recording.spikes[name][2]
        image = panel.images[0]
        assert np.array_equal(image.get_array(), spikes.T)
        assert image.get_extent() == [0.0, 0.5 * STEPS, -0.5, NEURONS - 0.5]
        title = panel.get_title(loc="left")
        assert title.startswith(f"{name}: {spikes.mean():.3f} spikes")
        assert f"({2000 * spikes.mean():.0f} Hz)" in title
        assert panel.get_ylabel() == "neuron\n(index)"
    assert panels[-1].get_xlabel() == "time (ms)"
    assert {panel.get_xlim() for panel in drawn.axes} == {(0.0, 0.5 * STEPS)}


def test_rasters_refuse_what_does_not_fit(network, samples, recording):
    with pytest.raises(ReportError, match=r"shape \(40, 2\).*\(2, 40\).*'input'"):
        figures.plot_input_and_rasters(network, samples[0].T, recording)
    for sample in (4, -1):
        with pytest.raises(ReportError, match=f"no sample {sample}; expected 0 to 3"):
            figures.plot_input_and_rasters(network, samples[0], recording, sample)
    lacking = Recording("nest", 1.0, {"layer0": recording.spikes["layer0"]})
    with pytest.raises(ReportError, match="'nest' has no spikes of 'layer1'; it has layer0"):
        figures.plot_input_and_rasters(network, samples[0], lacking)
    short = {name: spikes[:, :10] for name, spikes in recording.spikes.items()}
    with pytest.raises(ReportError, match=r"shape \(4, 10, 3\).*\(samples, 40, 3\)"):
        figures.plot_input_and_rasters(network, samples[0], Recording("nest", 1.0, short))


def test_membranes_coincide_and_stay_visible():
    trace = np.sin(np.arange(20.0))
    other = trace.copy()
    other[3] += 0.25
    axes = figures.plot_membranes({"torch": trace, "software": trace, "NEST": other}, 0.5, 2.0)
    *traces, theta = axes.lines
    assert [line.get_label() for line in traces] == [
        "torch", "software (max |Δy| 0)", "NEST (max |Δy| 0.25)"
    ]
    assert np.array_equal(traces[2].get_ydata(), other)
    assert np.array_equal(traces[0].get_xdata(), 2.0 * np.arange(1, 21))
    widths = [line.get_linewidth() for line in traces]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3
    assert set(theta.get_ydata()) == {0.5}
    assert labels_of(axes) == ("time (ms)", "membrane y (dimensionless)")


def test_an_infinite_threshold_is_not_drawn():
    axes = figures.plot_membranes({"torch": np.zeros(5)}, np.inf, 1.0)
    assert len(axes.lines) == 1


def test_membranes_of_different_lengths_are_refused():
    with pytest.raises(ReportError, match=r"'NEST' has shape \(4,\), that of 'torch' \(5,\)"):
        figures.plot_membranes({"torch": np.zeros(5), "NEST": np.zeros(4)}, 0.0, 1.0)
    with pytest.raises(ReportError, match="no membrane to draw"):
        figures.plot_membranes({}, 0.0, 1.0)


@pytest.mark.parametrize("complex_modes", [True, False])
def test_kernels_are_the_membranes_after_an_impulse(complex_modes):
    network = make_network(timestep=0.5, complex_modes=complex_modes)
    impulse = np.zeros((1, CHANNELS, STEPS))
    impulse[0, 0, 0] = 1.0
    membrane = software.run(network, impulse, membranes=["layer0"]).membranes["layer0"]
    expected = membrane[0].T  # (H, L)
    found = figures.kernels(network, "layer0")
    assert np.abs(found - expected).max() <= 1e-13 * np.abs(expected).max()

    axes = figures.plot_kernels(network, "layer0")
    drawn = [line for line in axes.lines if len(line.get_xdata()) == STEPS - 1]
    order = np.argsort(network.population("layer0").cell.tau.max(axis=1))
    assert len(drawn) == NEURONS
    for row, (line, h) in enumerate(zip(drawn, order, strict=True)):
        peak = np.abs(expected[h, 1:]).max()
        kernel = (line.get_ydata() - row) * peak / 0.45
        assert np.allclose(kernel, expected[h, 1:], rtol=0, atol=1e-12)
        assert np.array_equal(line.get_xdata(), 0.5 * np.arange(1, STEPS))
        assert axes.texts[row].get_text() == f"|K| ≤ {peak:.2g}, K[0] = {expected[h, 0]:.2g}"
        assert axes.get_yticklabels()[row].get_text().startswith(f"{h} (")
    assert labels_of(axes) == ("lag (ms)", "neuron (slowest τ)")


def test_fewer_kernels_are_spread_from_the_fastest_to_the_slowest(network):
    axes = figures.plot_kernels(network, "layer1", neurons=2)
    order = np.argsort(network.population("layer1").cell.tau.max(axis=1))
    shown = [label.get_text().split()[0] for label in axes.get_yticklabels()]
    assert shown == [str(order[0]), str(order[-1])]


def test_kernels_of_what_is_not_there_are_refused(network):
    for name in ("layer7", "readout"):
        with pytest.raises(ReportError, match=f"no layer {name!r}.*one of layer0, layer1"):
            figures.plot_kernels(network, name)
    with pytest.raises(ReportError, match="0 neurons of 'layer0'.*1 to 3"):
        figures.plot_kernels(network, "layer0", neurons=0)


def test_modes_stand_at_their_tau_and_rotation(network):
    axes = figures.plot_modes(network)
    assert [scatter.get_label() for scatter in axes.collections] == LAYERS
    for scatter, name in zip(axes.collections, LAYERS, strict=True):
        drawn = network.population(name).cell
        expected = np.stack([drawn.tau.ravel(), np.abs(drawn.omega).ravel()], axis=1)
        assert np.array_equal(scatter.get_offsets(), expected)
    assert len({tuple(s.get_facecolor()[0]) for s in axes.collections}) == len(LAYERS)
    assert labels_of(axes) == ("time constant τ (ms)", "rotation |ω| (rad/ms)")
    assert axes.get_xscale() == "log"


def test_real_and_endless_modes():
    network = make_network(complex_modes=False)
    head, *tail = network.populations
    tau = head.cell.tau.copy()
    tau[0, 0] = np.inf
    head = replace(head, cell=replace(head.cell, tau=tau))
    axes = figures.plot_modes(replace(network, populations=(head, *tail)))
    assert not axes.collections[0].get_offsets()[:, 1].any()
    assert len(axes.collections[0].get_offsets()) == tau.size - 1
    assert axes.get_title(loc="left").startswith("1 modes without leak")


def test_a_leaky_layer_is_drawn_as_one_real_mode_without_its_reset():
    network = leaky_network_of(2)
    layer = network.population("layer0")
    assert isinstance(layer.cell, LeakyCell)
    found = figures.kernels(network, "layer0")
    lags = np.arange(network.steps) * network.timestep
    assert found == pytest.approx(np.exp(-lags / layer.cell.tau[:, None]), rel=1e-12)
    drawn = figures.linear_part(layer)
    assert drawn.n_modes == 1 and (drawn.tau[:, 0] == layer.cell.tau).all()
    axes = figures.plot_modes(network)
    offsets = axes.collections[0].get_offsets()
    assert np.array_equal(offsets[:, 0], layer.cell.tau) and not offsets[:, 1].any()
    assert len(axes.collections) == len(network.layers)
    assert figures.plot_kernels(network, "layer0").get_title(loc="left").startswith("layer0: ")


def test_a_cell_of_modes_is_drawn_as_it_is(network):
    population = network.population("layer0")
    assert figures.linear_part(population) is population.cell


@pytest.mark.parametrize(("encoding", "unit"), [
    ("token", "symbol\n(index)"), ("spikes", "value\n(dimensionless)"),
    ("bits", "value\n(3-bit integer)"),
])
def test_the_input_has_the_unit_of_its_encoding(encoding, unit):
    network = gated_network_of(1, encoding=encoding)
    samples = samples_for(network)
    recording = software.run(network, samples)
    drawn = figures.plot_input_and_rasters(network, samples[0], recording)
    top, *panels = drawn.axes
    assert top.get_ylabel() == unit
    assert len(panels) == len(network.layers)  # what gathers for the readout has no spikes
    for patch, values in zip(top.patches, samples[0], strict=True):
        assert np.array_equal(patch.get_data().values, values)


def test_confusion_counts():
    labels, predictions = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 2])
    axes = figures.plot_confusion(labels, predictions, ["a", "b", "c"])
    found = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert found == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 2): "2"}
    share = axes.images[0].get_array()
    assert np.array_equal(share, [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    assert axes.get_title(loc="left") == "accuracy 80.00 % of 5 samples"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert labels_of(axes) == ("predicted class", "true class")


def test_confusion_refuses_what_does_not_fit():
    two = np.array([0, 1])
    with pytest.raises(ReportError, match=r"shape \(2,\), predictions \(1,\)"):
        figures.plot_confusion(two, two[:1], ["a", "b"])
    with pytest.raises(ReportError, match="at least 1"):
        figures.plot_confusion(two[:0], two[:0], ["a", "b"])
    with pytest.raises(ReportError, match="prediction of sample 1 is 2; expected 0 to 1"):
        figures.plot_confusion(two, two * 2, ["a", "b"])


def test_spike_rates_are_bars():
    axes = figures.plot_spike_rates({"layer0": 0.25, "layer1": 0.0})
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.0]
    assert labels_of(axes) == ("spike rate (spikes per neuron and step)", "layer")


def test_figures_draw_into_given_axes(network):
    mine = Figure().subplots(1, 5)
    figures.plot_membranes({"torch": np.zeros(3)}, 0.0, 1.0, ax=mine[0])
    figures.plot_kernels(network, "layer0", ax=mine[1])
    figures.plot_modes(network, ax=mine[2])
    figures.plot_confusion(np.array([0]), np.array([0]), ["a"], ax=mine[3])
    figures.plot_spike_rates({"layer0": 0.5}, ax=mine[4])
    assert all(axes.get_xlabel() for axes in mine)


# The page


class Checker(html.parser.HTMLParser):
    """Collects tags and text; refuses tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.cells = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def parse(path):
    checker = Checker()
    content = path.read_text(encoding="utf-8")
    assert content.startswith("<!DOCTYPE html>")
    checker.feed(content)
    checker.close()
    assert checker.open == []
    return checker


def full_report(path, network, samples, recording, verification, **changes):
    trace = recording.membranes["layer1"][1, :, 2]
    arguments = {
        "labels": np.array([0, 1, 1, 0]),
        "predictions": np.array([0, 1, 0, 0]),
        "membranes": {"torch": trace, "software": trace},
        "verification": verification,
        "layer": "layer1",
        "neuron": 2,
        "sample": 1,
    } | changes
    report.write_report(path, network, samples, recording=recording, **arguments)
    return parse(path)


def test_report_is_one_self_contained_file(tmp_path, network, samples, recording, verification):
    path = tmp_path / "report.html"
    page = full_report(path, network, samples, recording, verification)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.stat().st_size < 2_000_000
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 6
    for source in images:
        kind, data = source.split(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        # Nothing inside is fetched: links lead into the image itself or are data.
        assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', svg))
    others = [(tag, name) for tag, attrs in page.tags for name in attrs if name in ("src", "href")]
    assert others == [("img", "src")] * 6
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))
    assert {"viewport", None} >= {a.get("name") for t, a in page.tags if t == "meta"}


def test_report_tells_what_verify_found(tmp_path, network, samples, recording, verification):
    page = full_report(tmp_path / "r.html", network, samples, recording, verification)
    assert page.cells == [
        "backend", "accuracy (%)", "spikes of the reference", "mismatched spikes", "seconds",
        "first divergence",
        "software", "75.00", "12,345", "0", "1.50", "none",
        "nest", "75.00", "12,345", "3", "1.50", "sample 2, layer layer1, neuron 0, step 9",
    ]
    text = " ".join(page.text)
    assert "snn-ssm report: smnist" in text
    assert re.search(r"E2, [^.]*: holds\.", text)
    assert re.search(r"E3, [^.]*: DOES NOT HOLD\.", text)
    assert "numpy 2.0" in text
    assert "2 layers, 8 neurons (readout included), 14 modes, 21 synapses" in text


def test_the_same_report_has_the_same_bytes(tmp_path, network, samples, recording, verification):
    for name in ("a", "b"):
        full_report(tmp_path / name, network, samples, recording, verification)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("kind", "reset"), [
    ("gsu", "does not reset it"), ("token lif", "resets it to 0"),
])
def test_reports_of_other_kinds(tmp_path, verification, kind, reset):
    _, network, samples = lowered(kind, count=4)
    recording = software.run(network, samples, membranes=["layer1"])
    page = full_report(tmp_path / "r.html", network, samples, recording, verification)
    text = " ".join(page.text)
    assert f"a spike {reset}." in text
    assert "Network: 2 layers, " in text  # a ternary layer is two populations
    assert f"as {network.source.encoding}; 20 steps" in text
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 6


def test_text_is_escaped(tmp_path):
    evil = "<script>alert('x')</script> & \"quotes\""
    path = tmp_path / "page.html"
    figure = Figure(figsize=(1, 1))
    report.html_report(path, evil, [{evil: evil}], [(figure, evil)], [evil])
    page = parse(path)
    assert "<script" not in path.read_text(encoding="utf-8")
    assert page.cells == [evil, evil]
    assert page.text.count(evil) == 5  # title, heading, header, cell, note
    assert f"Figure 1. {evil}" in page.text


def test_a_page_without_rows_figures_or_notes(tmp_path):
    report.html_report(tmp_path / "page.html", "empty", [], [], [])
    assert {tag for tag, _ in parse(tmp_path / "page.html").tags}.isdisjoint({"table", "ul", "img"})


def test_rows_of_different_keys_are_refused(tmp_path):
    with pytest.raises(ReportError, match="row 1 of the table has the columns b; row 0 has a"):
        report.html_report(tmp_path / "page.html", "t", [{"a": 1}, {"b": 1}], [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(ReportError, match=r"absent.*Name a file in a directory"):
        report.html_report(tmp_path / "absent" / "page.html", "t", [], [], [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": 4}, "no sample 4; expected 0 to 3"),
        ({"layer": "layer9"}, "no layer 'layer9'.*layer0, layer1"),
        ({"neuron": 3}, "no neuron 3 in 'layer1'; expected 0 to 2"),
        ({"verification": {"spikes": 3}}, "verification has no 'backends'; it has spikes.*verify"),
        ({"verification": {"spikes": 3, "backends": {"nest": {}}}}, "'nest' has no 'first_div"),
    ],
)
def test_reports_that_cannot_be_made(
    tmp_path, network, samples, recording, verification, changes, message
):
    path = tmp_path / "r.html"
    with pytest.raises(ReportError, match=message):
        full_report(
            path, network, samples, recording, **({"verification": verification} | changes)
        )
    assert not path.exists()


def test_neither_pyplot_nor_torch_is_imported():
    code = (
        "import sys, export.report, export.figures; "
        "sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_figure_of_pyplot_is_left_open(tmp_path, network, samples, recording, verification):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    settings = dict(pyplot.rcParams)
    full_report(tmp_path / "r.html", network, samples, recording, verification)
    assert pyplot.get_fignums() == before
    assert dict(pyplot.rcParams) == settings
