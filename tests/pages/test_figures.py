"""Figures of runs: what is drawn and how it is labelled; what does not fit is refused."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.drawn_network import LAYERS, NETWORK, NEURONS, SAMPLES, STEPS, labels_of, make_network
from support.gated_networks import gated_network_of, samples_for

from export.pages import figures, mode_figures
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


def test_figures_draw_into_given_axes():
    mine = Figure().subplots(1, 5)
    figures.plot_membranes({"torch": np.zeros(3)}, 0.0, 1.0, ax=mine[0])
    mode_figures.plot_kernels(NETWORK, "layer0", ax=mine[1])
    mode_figures.plot_modes(NETWORK, ax=mine[2])
    figures.plot_confusion(np.array([0]), np.array([0]), ["a"], ax=mine[3])
    figures.plot_spike_rates({"layer0": 0.5}, ax=mine[4])
    assert all(axes.get_xlabel() for axes in mine)
