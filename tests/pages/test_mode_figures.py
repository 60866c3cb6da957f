"""Figures of modes: kernels are a cell's answers to an impulse, modes stand at tau and omega."""

from dataclasses import replace

import numpy as np
import pytest
from support.drawn_network import CHANNELS, LAYERS, NETWORK, NEURONS, STEPS, labels_of, make_network
from support.gated_networks import leaky_network_of

from export.pages import mode_figures
from export.pages.figure_style import ReportError
from export.software import simulation as software
from pynn_models.cells import LeakyCell


@pytest.mark.parametrize("complex_modes", [True, False])
def test_kernels_are_the_membranes_after_an_impulse(complex_modes):
    network = make_network(timestep=0.5, complex_modes=complex_modes)
    impulse = np.zeros((1, CHANNELS, STEPS))
    impulse[0, 0, 0] = 1.0
    membrane = software.run(network, impulse, membranes=["layer0"]).membranes["layer0"]
    expected = membrane[0].T  # (H, L)
    found = mode_figures.kernels(network, "layer0")
    assert np.abs(found - expected).max() <= 1e-13 * np.abs(expected).max()

    axes = mode_figures.plot_kernels(network, "layer0")
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


def test_fewer_kernels_are_spread_from_the_fastest_to_the_slowest():
    axes = mode_figures.plot_kernels(NETWORK, "layer1", neurons=2)
    order = np.argsort(NETWORK.population("layer1").cell.tau.max(axis=1))
    shown = [label.get_text().split()[0] for label in axes.get_yticklabels()]
    assert shown == [str(order[0]), str(order[-1])]


def test_kernels_of_what_is_not_there_are_refused():
    for name in ("layer7", "readout"):
        with pytest.raises(ReportError, match=f"no layer {name!r}.*one of layer0, layer1"):
            mode_figures.plot_kernels(NETWORK, name)
    with pytest.raises(ReportError, match="0 neurons of 'layer0'.*1 to 3"):
        mode_figures.plot_kernels(NETWORK, "layer0", neurons=0)


def test_modes_stand_at_their_tau_and_rotation():
    axes = mode_figures.plot_modes(NETWORK)
    assert [scatter.get_label() for scatter in axes.collections] == LAYERS
    for scatter, name in zip(axes.collections, LAYERS, strict=True):
        drawn = NETWORK.population(name).cell
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
    axes = mode_figures.plot_modes(replace(network, populations=(head, *tail)))
    assert not axes.collections[0].get_offsets()[:, 1].any()
    assert len(axes.collections[0].get_offsets()) == tau.size - 1
    assert axes.get_title(loc="left").startswith("1 modes without leak")


def test_a_leaky_layer_is_drawn_as_one_real_mode_without_its_reset():
    network = leaky_network_of(2)
    layer = network.population("layer0")
    assert isinstance(layer.cell, LeakyCell)
    found = mode_figures.kernels(network, "layer0")
    lags = np.arange(network.steps) * network.timestep
    assert found == pytest.approx(np.exp(-lags / layer.cell.tau[:, None]), rel=1e-12)
    drawn = mode_figures.linear_part(layer)
    assert drawn.n_modes == 1 and (drawn.tau[:, 0] == layer.cell.tau).all()
    axes = mode_figures.plot_modes(network)
    offsets = axes.collections[0].get_offsets()
    assert np.array_equal(offsets[:, 0], layer.cell.tau) and not offsets[:, 1].any()
    assert len(axes.collections) == len(network.layers)
    assert mode_figures.plot_kernels(network, "layer0").get_title(loc="left").startswith("layer0: ")


def test_a_cell_of_modes_is_drawn_as_it_is():
    population = NETWORK.population("layer0")
    assert mode_figures.linear_part(population) is population.cell
