"""Figures of runs: what is drawn and how it is labelled; what does not fit is refused."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.drawn_network import LAYERS, NETWORK, NEURONS, SAMPLES, STEPS, labels_of, make_network
from support.gated_networks import gated_network_of, samples_for
from support.random_networks import checkpoint_of, samples_of

from export import lower
from export.pages import answer_figures, figures, mode_figures
from export.pages.figure_style import ReportError
from export.samples.recording import Recording
from export.software import simulation as software


def test_rasters_show_the_input_and_every_layer_in_milliseconds():
    network = make_network(timestep=0.5)
    recording = software.run(network, SAMPLES)
    drawn = figures.plot_input_and_rasters(network, SAMPLES[2], recording, 2)
    assert isinstance(drawn, Figure)
    top, *panels = drawn.axes
    assert len(panels) == len(LAYERS)
    for patch, values in zip(top.patches, SAMPLES[2], strict=True):
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


def test_rasters_refuse_what_does_not_fit():
    recording = software.run(NETWORK, SAMPLES)
    with pytest.raises(ReportError, match=r"shape \(40, 2\).*\(2, 40\).*'input'"):
        figures.plot_input_and_rasters(NETWORK, SAMPLES[0].T, recording)
    for sample in (4, -1):
        with pytest.raises(ReportError, match=f"no sample {sample}; expected 0 to 3"):
            figures.plot_input_and_rasters(NETWORK, SAMPLES[0], recording, sample)
    lacking = Recording("nest", 1.0, {"layer0": recording.spikes["layer0"]})
    with pytest.raises(ReportError, match="'nest' has no spikes of 'layer1'; it has layer0"):
        figures.plot_input_and_rasters(NETWORK, SAMPLES[0], lacking)
    short = {name: spikes[:, :10] for name, spikes in recording.spikes.items()}
    with pytest.raises(ReportError, match=r"shape \(4, 10, 3\).*\(samples, 40, 3\)"):
        figures.plot_input_and_rasters(NETWORK, SAMPLES[0], Recording("nest", 1.0, short))


def test_density_is_the_mean_over_steps_and_a_stretch_spike_by_spike():
    network = make_network(timestep=0.5)
    recording = software.run(network, SAMPLES)
    drawn = figures.plot_spike_density(network, SAMPLES[2], recording, 2, width=1.0)
    top, *panels = drawn.axes
    assert top.patches and len(panels) == 2 * len(LAYERS)  # one below the other
    for i, name in enumerate(LAYERS):
        spikes = recording.spikes[name][2]  # 40 steps, 18 columns an inch: 3 steps a column
        whole, close = panels[2 * i], panels[2 * i + 1]
        found = whole.images[0].get_array()
        expected = [spikes[k : k + 3].mean(axis=0) for k in range(0, STEPS, 3)]
        assert np.allclose(found, np.transpose(expected))
        assert found.shape == (NEURONS, 14)
        assert whole.images[0].get_extent()[:2] == [0.0, 0.5 * 42]
        assert whole.get_xlim() == (0.0, 0.5 * STEPS)
        assert np.array_equal(close.images[0].get_array(), spikes.T)
        first, last = close.get_xlim()
        assert (first, last) == (0.5 * 15, 0.5 * 24)
    assert panels[-1].get_xlabel() == "time (ms)"


def test_a_wide_figure_has_the_stretch_beside_and_a_short_sample_needs_none():
    checkpoint = checkpoint_of(3, steps=400)
    network, samples = lower(checkpoint), samples_of(checkpoint, 1)
    recording = software.run(network, samples)
    wide = figures.plot_spike_density(network, samples[0], recording, width=12.0)
    assert len({round(ax.get_position().x0, 2) for ax in wide.axes}) == 2
    assert len(wide.axes) == 2 * (1 + len(network.layers))
    short = figures.plot_spike_density(NETWORK, SAMPLES[0], software.run(NETWORK, SAMPLES))
    assert len(short.axes) == 1 + len(LAYERS)


def test_density_refuses_what_does_not_fit():
    with pytest.raises(ReportError, match="no sample 4; expected 0 to 3"):
        figures.plot_spike_density(NETWORK, SAMPLES[0], software.run(NETWORK, SAMPLES), 4)


def test_membranes_have_a_panel_of_what_each_backend_differs_by():
    trace = np.sin(np.arange(20.0))
    other = trace.copy()
    other[3] += 0.25
    drawn = figures.plot_membranes({"torch": trace, "software": trace, "NEST": other}, 0.5, 2.0)
    top, same, apart = drawn.axes
    line, theta = top.lines
    assert np.array_equal(line.get_ydata(), trace) and line.get_label() == "torch"
    assert np.array_equal(line.get_xdata(), 2.0 * np.arange(1, 21))
    assert set(theta.get_ydata()) == {0.5}
    assert top.get_title(loc="left") == "torch, and the threshold θ = 0.5"
    assert same.get_title(loc="left") == "software - torch: 0 at every step"
    assert not same.lines[1].get_ydata().any()
    assert apart.get_title(loc="left") == "NEST - torch: at most 0.25"
    assert np.array_equal(apart.lines[1].get_ydata(), other - trace)
    assert apart.get_ylim()[1] > 0.25
    assert apart.get_xlabel() == "time (ms)"


def test_an_infinite_threshold_is_not_drawn():
    [axes] = figures.plot_membranes({"torch": np.zeros(5)}, np.inf, 1.0).axes
    assert len(axes.lines) == 1 and axes.get_title(loc="left") == "torch"


def test_membranes_of_different_lengths_are_refused():
    with pytest.raises(ReportError, match=r"'NEST' has shape \(4,\), that of 'torch' \(5,\)"):
        figures.plot_membranes({"torch": np.zeros(5), "NEST": np.zeros(4)}, 0.0, 1.0)
    with pytest.raises(ReportError, match="no membrane to draw"):
        figures.plot_membranes({}, 0.0, 1.0)


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
    axes = answer_figures.plot_confusion(labels, predictions, ["a", "b", "c"])
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
        answer_figures.plot_confusion(two, two[:1], ["a", "b"])
    with pytest.raises(ReportError, match="at least 1"):
        answer_figures.plot_confusion(two[:0], two[:0], ["a", "b"])
    with pytest.raises(ReportError, match="prediction of sample 1 is 2; expected 0 to 1"):
        answer_figures.plot_confusion(two, two * 2, ["a", "b"])


def test_spike_rates_are_bars():
    axes = answer_figures.plot_spike_rates({"layer0": 0.25, "layer1": 0.0})
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.0]
    assert labels_of(axes) == ("spike rate (spikes per neuron and step)", "layer")


def test_margins_are_counted_by_layer():
    margins = {"a": np.array([[0.5, -0.05, np.inf]]), "b": np.array([0.0, 5.0])}
    axes = answer_figures.plot_margins(margins)
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    assert [int(np.sum(line.get_ydata())) for line in axes.lines] == [2, 2]
    places, counts = axes.lines[1].get_data()
    assert list(places[np.flatnonzero(counts)]) == pytest.approx([10**-1.3, 10**0.7], rel=0.3)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    with pytest.raises(ReportError, match="no layer has a finite margin"):
        answer_figures.plot_margins({"a": np.array([np.inf])})


@pytest.mark.parametrize("side", [None, 2])
def test_misclassified_samples_are_drawn(side):
    samples = np.arange(5 * 4).reshape(5, 1, 4)
    labels, answers = np.array([0, 1, 2, 0, 1]), np.array([0, 2, 2, 1, 0])
    drawn = answer_figures.plot_misclassified(samples, labels, answers, side=side, most=2)
    shown = [ax for ax in drawn.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in shown] == ["1: 1 → 2", "3: 0 → 1"]
    values = shown[1].images[0].get_array() if side else shown[1].lines[0].get_ydata()
    assert np.ravel(values).tolist() == [12, 13, 14, 15]
    with pytest.raises(ReportError, match="every sample was taken for what it is"):
        answer_figures.plot_misclassified(samples, labels, labels)


def test_figures_draw_into_given_axes():
    mine = Figure().subplots(1, 5)
    answer_figures.plot_margins({"layer0": np.ones(3)}, ax=mine[0])
    mode_figures.plot_kernels(NETWORK, "layer0", ax=mine[1])
    mode_figures.plot_modes(NETWORK, ax=mine[2])
    answer_figures.plot_confusion(np.array([0]), np.array([0]), ["a"], ax=mine[3])
    answer_figures.plot_spike_rates({"layer0": 0.5}, ax=mine[4])
    assert all(axes.get_xlabel() for axes in mine)
