"""The models: pure functions of tensors under thin modules.

In comes a ``ModelConfig``; out comes a ``torch.nn.Module`` whose convolution, scan and step are one
network. :mod:`snn_ssm.training` trains it.
"""

from snn_ssm.model.network import Network, build_network
from snn_ssm.model.reference import run_reference
from snn_ssm.model.transformer import Transformer

__all__ = [
    "Network",
    "Transformer",
    "build_network",
    "run_reference",
]
