"""The training step compiled: norms, spikes and mixing fused by ``torch.compile``."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from snn_ssm.layers import Layer
from snn_ssm.sequence import SequenceModel


def compiled(network: SequenceModel) -> nn.Module:
    """The same function of the same parameters, compiled at its first call for each batch size.

    Layers stay as they are: the compiler has no complex arithmetic, and Fourier transforms and
    loops over steps gain nothing. So does the encoder, which looks at symbols to check them.
    Values differ by rounding, and by the spikes that it turns.
    """
    # On instances: decorators would load the compiler whenever snn_ssm is imported.
    network.encode = torch.compiler.disable(network.encode)  # type: ignore[method-assign]
    for module in network.modules():
        if isinstance(module, Layer):
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]
    return cast(nn.Module, torch.compile(network, dynamic=False))
