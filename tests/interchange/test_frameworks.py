"""Networks of snnTorch, Norse, Sinabs and SpikingJelly: every spike is theirs, step by step.

Not run by default: ``make test-frameworks``.
"""

import pytest

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning",
                               "ignore::FutureWarning"),
]  # fmt: skip
PROGRAMS = {
    "snntorch": ("Leaky", "Leaky, zero", "Synaptic", "RLeaky", "RSynaptic", "conv"),
    "norse": ("LIFBoxCell", "LIFCell", "IAFCell", "conv"),
    "sinabs": ("LIF", "LIF, norm_input=False", "IAF", "conv"),
    "spikingjelly": ("LIFNode", "LIFNode, v_reset=-0.1", "IFNode", "CUBALIFNode", "conv"),
}


CASES = [
    (program, kind, dtype)
    for program, kinds in PROGRAMS.items()
    for kind in kinds
    for dtype in ("float32", "float64")
    if (program, dtype) != ("sinabs", "float64")  # its own layers refuse their spikes then
]


def test_all_are_compared():
    from support import nir_frameworks

    assert CASES == nir_frameworks.CASES


@pytest.mark.parametrize(("program", "kind", "dtype"), CASES)
def test_every_spike_is_the_programs(program, kind, dtype, tmp_path):
    import torch
    from support import nir_frameworks as frameworks

    made = frameworks.NETWORKS[program, kind](getattr(torch, dtype))
    network = frameworks.imported(made, tmp_path)
    for backend in ("software", "nest"):
        spikes, differ = frameworks.compared(made, network, backend)
        assert spikes > 200
        assert differ == 0, f"{differ} of {spikes} in {backend}"
