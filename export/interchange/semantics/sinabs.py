"""Sinabs: exact decay, several spikes in a step, each of which takes the threshold at once.

``v[k] = alpha v[k-1] + (1 - alpha) I[k]``, ``s = trunc(v / Theta)`` where v > 0, then ``v -= s
Theta``, with ``alpha = exp(-1 / tau)``, tau in steps. Its exporter writes ``r = 1`` whether
``norm_input`` is set (the default, above) or not: then ``I`` is added as it is. A ``tau_syn`` and a
``min_v_mem`` are not written.
Source: sinabs 3.1.3, ``layers/functional/lif.py``, ``activation``, ``nir.py``.
"""

from dataclasses import replace

from export.interchange.semantics.kind import Semantics, held, summed

SINABS = Semantics(
    "sinabs", "exact decay, norm_input=True (the default); multiple spikes, soft reset",
    reset="soft", dt=1.0, step=held, integral=lambda dt: 1.0, reached=True, counts=True,
)  # fmt: skip
SINABS_SUM = replace(
    SINABS, name="sinabs-sum", does="the same with norm_input=False", step=summed
)
