"""Which networks SpiNNaker's cells can be: gated and leaky ones are refused, the others are run."""

import pytest
from support.gated_networks import gated_network_of, leaky_network_of, lowered

from export.description.network import Network, Population, Projection, Readout, Source
from export.fixed_point import simulation as spinnaker_software
from export.fixed_point.support import SpinnakerUnsupportedError, check_supported
from export.pynn.spinnaker import SpinnakerStock
from export.pynn.spinnaker_native import SpinnakerNative
from export.software import simulation as software
from export.verification.backends import runner
from pynn_models import SnnSsmError, StateSpaceCell

REFUSED = ["glu", "gsu", "gsu of two matrices", "token glu", "lif", "token lif", "events gsu"]
TAKEN = ["ternary", "token", "events"]


def refusal(function, *arguments):
    with pytest.raises(SpinnakerUnsupportedError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_gated_inputs_are_refused(kind):
    assert refusal(check_supported, gated_network_of(0, kind)) == (
        f"population 'layer1': its gated inputs ({kind}) need products and an exponential a step, "
        "which no cell for SpiNNaker here has. Use the backend software or nest, or train with "
        "model.mixing = \"linear\"."
    )


def test_leaky_neurons_are_refused():
    assert refusal(check_supported, leaky_network_of(0)) == (
        "population 'layer0': its neurons are lif cells, for which there is no plan of SpiNNaker's "
        "ranges here. Use the backend software or nest, or train with model.cells = one of native, "
        "stock."
    )


def test_membranes_are_not_sent():
    def cell(theta):
        return StateSpaceCell(tau=[[9.0]], c_re=[[1.0]], d=[0.0], theta=[theta], bias=[0.0])

    network = Network(
        1.0, 4, Source("input", "bits", 1, 1),
        (Population("layer0", cell(1.0), 1), Population("readout", cell(float("inf")), 2)),
        (Projection("input", "layer0", [[1.0]], 1),
         Projection("layer0", "readout", [[1.0]], 1, graded=True)),
        Readout("readout", "mean"),
    )
    assert refusal(check_supported, network) == (
        "projection 'layer0' -> 'readout': it sends membranes, and SpiNNaker here sends spikes. "
        "Use the backend software or nest, or train with model.mixing = \"linear\"."
    )


@pytest.mark.parametrize("kind", REFUSED)
def test_every_way_to_spinnaker_refuses_what_it_cannot_be(kind):
    _, network, samples = lowered(kind)
    said = {
        refusal(check_supported, network),
        refusal(spinnaker_software.plan_network, network),
        refusal(spinnaker_software.calibrate, network, samples),
        refusal(spinnaker_software.run, network, samples),
        refusal(runner, "spinnaker-software", network),
        refusal(SpinnakerStock().check, network),
        refusal(SpinnakerNative().check, network),
    }
    assert len(said) == 1
    assert "population 'layer" in said.pop()
    assert issubclass(SpinnakerUnsupportedError, SnnSsmError)


@pytest.mark.parametrize("kind", TAKEN)
def test_signed_spikes_symbols_and_events_are_taken(kind):
    """In SpiNNaker's arithmetic networks this small lose no spike."""
    _, network, samples = lowered(kind, 1)
    check_supported(network)
    found = spinnaker_software.run(network, samples).spikes
    for name, spikes in software.run(network, samples).spikes.items():
        assert (found[name] == spikes).all(), name
