"""snnTorch: the threshold is subtracted one step after the spike, from what has decayed by then.

``mem[k] = beta mem[k-1] + I[k] - Theta s[k-1]``, ``s[k] = H(mem[k] - Theta)``. Its exporter writes
``tau = dt / (1 - beta)`` and ``r = tau / dt`` with a dt of 0.1 ms, for each ``reset_mechanism``
alike. Source: snntorch 1.0.0, ``_neurons/leaky.py``, ``_neurons/synaptic.py``, ``export_nir.py``.
"""

from dataclasses import replace

from export.interchange.semantics.kind import Semantics

SNNTORCH = Semantics(
    "snntorch", "Euler; reset_mechanism=\"subtract\", one step late (the default)",
    reset="late", dt=1e-4, loops=True,
)  # fmt: skip
SNNTORCH_ZERO = replace(
    SNNTORCH, name="snntorch-zero", does="Euler; reset_mechanism=\"zero\"", reset="hard"
)
SNNTORCH_NONE = replace(
    SNNTORCH, name="snntorch-none", does="Euler; reset_mechanism=\"none\"", reset="none"
)
