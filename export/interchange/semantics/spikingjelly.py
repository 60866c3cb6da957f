"""SpikingJelly: Euler, a spike where the threshold is reached, a hard reset at once.

``v = v + (I - (v - v_reset)) / tau``, ``s = H(v - v_th)`` with ``H(0) = 1``, then ``v = v_reset``,
which is also where v starts. Its exporter writes ``tau dt``, and ``r = 1`` or, where the input does
not decay, ``r = tau``. Source: spikingjelly 2.0.0, ``functional/neuron.py``,
``nir_exchange/to_nir.py``.
"""

from export.interchange.semantics.kind import Semantics

SPIKINGJELLY = Semantics(
    "spikingjelly", "Euler; v >= the threshold; hard reset", reset="hard", dt=1e-4, start="reset",
    reached=True,
)  # fmt: skip
