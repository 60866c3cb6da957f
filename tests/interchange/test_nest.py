"""Networks from other programs' graphs in NEST: every spike and every bit of ``software``."""

import numpy as np
import pytest
from support.nest_simulator import IN_NEST
from support.nir_senders import of_two_layers

from export.interchange import Options, from_nir
from export.software import run
from export.verification.backends import Options as RunOptions
from export.verification.backends import runner

pytestmark = IN_NEST


@pytest.mark.parametrize(
    ("semantics", "kind"),
    [("norse", "LIFCell"), ("sinabs", "IAF"), ("snntorch", "Synaptic")],
)
def test_graphs_of_others(semantics, kind):
    """Membranes that one population sends to the next, several spikes in a step, soft resets."""
    graph, _ = of_two_layers(semantics, kind, seed=3)
    network = from_nir(graph, Options(semantics, steps=40, encoding="spikes"))
    samples = (np.random.default_rng(0).random((2, 8, 40)) < 0.4).astype(np.uint8)
    names = [p.name for p in network.populations]
    here = run(network, samples, membranes=names)
    there = runner("nest", network, RunOptions())(samples, names)
    for population in network.layers:
        spikes = here.spikes[population.name]
        assert spikes.any() and np.array_equal(spikes, there.spikes[population.name])
    for name in names:
        assert np.array_equal(here.membranes[name], there.membranes[name])
