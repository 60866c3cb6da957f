"""Norse: Euler, a hard reset at once, currents that jump.

``v += dt / tau_mem (v_leak - v + i)``, ``s = H(v - v_th)``, then ``v = v_reset``; ``i`` is what it
was plus what arrives, and decays afterwards. Its exporter writes ``dt / tau_inv`` where NIR has
``tau = 1 / tau_inv``, so that a rate is ``dt tau_inv = dt^2 / tau``; no ``w_in``, and no
``v_reset``, which must be 0. Source: norse 1.1.0, ``functional/lif.py``, ``functional/lif_box.py``,
``functional/iaf.py``, ``utils/export_nir.py``.
"""

from export.interchange.semantics.kind import Semantics

NORSE = Semantics(
    "norse", "Euler; tau in the file is dt / tau_inv; hard reset", reset="hard", dt=1e-3,
    rate=lambda tau, dt: dt * dt / tau, integral=lambda dt: 1.0,
    current=lambda w_in, tau, dt: w_in, start="leak",
)  # fmt: skip
