"""The kinds of mixing and of cell that can be trained, without torch: what both sides must know.

In comes a name of the configuration; out come the arrays of a checkpoint, the levels at which
neurons spike, and where the torch module is. :mod:`snn_ssm.model` builds models of them.
"""

from snn_ssm.kinds.cells import CELLS
from snn_ssm.kinds.mixings import MIXINGS

__all__ = ["CELLS", "MIXINGS"]
