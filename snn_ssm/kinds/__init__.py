"""The kinds of mixing, of cell and of output that can be trained, without torch.

In comes a name of the configuration; out come the arrays of a checkpoint, the levels at which
neurons spike, and where the torch module is. :mod:`snn_ssm.model` builds models of them.
"""

from snn_ssm.kinds.cells import CELLS
from snn_ssm.kinds.mixings import MIXINGS
from snn_ssm.kinds.outputs import OUTPUTS

__all__ = ["CELLS", "MIXINGS", "OUTPUTS"]
