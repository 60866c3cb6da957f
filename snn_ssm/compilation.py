"""The training step compiled: norms, spikes and mixing fused by ``torch.compile``."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from snn_ssm.layers import Layer


def compiled(network: nn.Module) -> nn.Module:
    """The same function of the same parameters, compiled at its first call for each batch size.

    Layers stay as they are: the compiler has no complex arithmetic, and Fourier transforms and
    loops over steps gain nothing. Values differ by rounding, and by the spikes that it turns.
    """
    for module in network.modules():
        if isinstance(module, Layer):
            # On the instance: a decorator would load the compiler whenever snn_ssm is imported.
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]
    return cast(nn.Module, torch.compile(network, dynamic=False))
