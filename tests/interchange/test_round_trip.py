"""E6: a network, said in NIR and read back, is the same network to the last bit."""

import io

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cell_parts import with_parts
from support.gated_networks import KINDS, lowered
from support.looped_networks import looped_network_of
from support.random_networks import network_of

from export.description.storage import digest
from export.interchange import InterchangeError, from_nir, load_nir, save_nir, to_nir
from export.lowering.network import lower
from export.software import run
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.shipped import checkpoint

SAYABLE = ("ternary", "token", "events", "lif", "token lif")
NEEDS_PRODUCTS = [kind for kind in KINDS if "glu" in kind or "gsu" in kind]


def back(network):
    """Through a file, as other programs' readers and writers have it."""
    file = io.BytesIO()
    nir.write(file, to_nir(network))
    return from_nir(nir.read(io.BytesIO(file.getvalue())))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=12)
@given(seeds, st.sampled_from(["bits", "current", "spikes"]), st.sampled_from([0.1, 0.7, 1.0]))
def test_networks_that_go_forward(seed, encoding, timestep):
    network = network_of(seed, timestep=timestep, tied=bool(seed % 2))
    if encoding != "bits":
        network = looped_network_of(seed, encoding=encoding, timestep=timestep)
    assert digest(from_nir(to_nir(network))) == digest(network)


@settings(max_examples=12)
@given(seeds, st.sampled_from(["native", "lif"]))
def test_networks_of_loops_masks_taps_and_delays_a_synapse(seed, cells):
    network = looped_network_of(seed, cells=cells)
    assert digest(from_nir(to_nir(network))) == digest(network)


@settings(max_examples=12)
@given(seeds)
def test_parts_of_cells_are_said_or_refused_by_name(seed):
    network = with_parts(network_of(seed), seed)
    parts = [p.cell for p in network.layers]
    names = "history|multiplicity|refractory|hard reset"
    open_ = any(
        c.history or c.multiplicity
        or (c.reset and (c.reset.refractory or (c.reset.is_hard and (c.n_modes != 1 or c.d.any()))))
        for c in parts
    )
    if open_:
        with pytest.raises(InterchangeError, match=f"'.*': NIR has no node for.*({names})"):
            to_nir(network)
    else:
        assert digest(from_nir(to_nir(network))) == digest(network)


@pytest.mark.parametrize("seed", range(3))
def test_through_files(seed):
    network = looped_network_of(seed)
    assert digest(back(network)) == digest(network)


@pytest.mark.parametrize("kind", SAYABLE)
def test_lowered_networks_of_every_kind(kind):
    _, network, samples = lowered(kind)
    found = back(network)
    assert digest(found) == digest(network)
    names = [p.name for p in network.populations]
    one, two = (run(n, samples, membranes=names) for n in (network, found))
    for name in names:
        assert one.membranes[name].tobytes() == two.membranes[name].tobytes()
    for name, spikes in one.spikes.items():
        assert np.array_equal(spikes, two.spikes[name])


@pytest.mark.parametrize("kind", NEEDS_PRODUCTS)
def test_a_product_is_refused(kind, tmp_path):
    _, network, _ = lowered(kind)
    message = "'.*': NIR has no node for (gated|integer|a threshold history|spikes sent as)"
    with pytest.raises(InterchangeError, match=message):
        save_nir(network, tmp_path / "x.nir")
    assert list(tmp_path.iterdir()) == []


def test_integer_spikes_are_refused():
    _, network, _ = lowered("integer")
    with pytest.raises(InterchangeError, match="no node for integer spikes"):
        to_nir(network)


@pytest.mark.parametrize("name", ["smnist-binary-s4d", "smnist-stock"])
def test_shipped_networks(name, tmp_path):
    network = lower(load_checkpoint(checkpoint(name)))
    if name == "smnist-stock":
        save_nir(network, tmp_path / "x.nir")
        assert digest(load_nir(tmp_path / "x.nir")) == digest(network)
    assert digest(from_nir(to_nir(network))) == digest(network)
