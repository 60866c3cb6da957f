"""The trained model's own steps, in float64, as what the software backend must repeat (E2)."""

import numpy as np

from export.samples.readout import accumulated_logits, logits
from export.software import simulation as software
from snn_ssm.model.reference import run_reference


def close(found, expected):
    """To 1e-10 of the largest value."""
    return np.abs(found - expected).max() <= 1e-10 * max(1.0, np.abs(expected).max())


def assert_is_the_trained_model(checkpoint, network, samples):
    """E2: every spike of either sign the same, membranes and logits to 1e-10.

    Returns software's recording, all membranes included.
    """
    expected = run_reference(checkpoint, samples)
    names = [p.name for p in network.populations]
    found = software.run(network, samples, membranes=names)
    for i, spikes in enumerate(expected.spikes):
        name = f"layer{i}"
        assert found.spikes[name].dtype == spikes.dtype
        assert (found.spikes[name] == spikes).all(), name
        assert close(found.membranes[name], expected.membranes[i]), name
        twin, negative = f"{name}_negative", expected.negative[i]
        assert (twin in found.spikes) == (negative is not None)
        if negative is not None:
            assert (found.spikes[twin] == negative).all(), twin
            assert (found.membranes[twin] == -found.membranes[name]).all()
            assert not (found.spikes[twin] & found.spikes[name]).any()
    assert close(accumulated_logits(network, found), expected.logits)
    assert close(logits(network, samples, found), expected.logits)
    return found
