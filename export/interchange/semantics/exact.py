"""Our own: the exact solution between steps, NIR's hard reset, v above the threshold.

What arrives in a step is a pulse at its end, ``tau v' = v_leak - v + R I``, of area ``I dt``. This
is what our own graphs say to readers that do not know us.
"""

from export.interchange.semantics.kind import Semantics, pulse

EXACT = Semantics(
    "snn-ssm", "exact decay; what arrives is a pulse; hard reset", reset="hard", step=pulse,
    start="reset",
)  # fmt: skip
