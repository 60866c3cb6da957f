"""The training step compiled: norms, spikes and mixing fused by ``torch.compile``."""

from __future__ import annotations

import sys
from typing import cast

import torch
from torch import nn

from pynn_models.errors import SnnSsmError
from snn_ssm.model.block import Block
from snn_ssm.model.layers import Layer
from snn_ssm.model.sequence import SequenceModel


class CompilationError(SnnSsmError):
    """The training step cannot be compiled in this process."""


def compiled(network: SequenceModel) -> nn.Module:
    """The same function of the same parameters, compiled at its first call for each batch size.

    Layers stay as they are: the compiler has no complex arithmetic, and Fourier transforms and
    loops over steps gain nothing. So does the encoder, which looks at symbols to check them.
    Values differ by rounding, and by the spikes that it turns.

    Raises: :class:`CompilationError` where NEST is loaded, whose OpenMP crashes compiled code.
    """
    if "nest" in sys.modules:
        raise CompilationError(
            "NEST is loaded in this process, and compiled code would crash with it. Train in a "
            "process of its own, or do not compile the step."
        )
    # On instances: decorators would load the compiler whenever snn_ssm is imported.
    network.encode = torch.compiler.disable(network.encode)  # type: ignore[method-assign]
    for module in network.modules():
        if isinstance(module, Layer):
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]
        if isinstance(module, Block) and module.looped:
            module.respond = torch.compiler.disable(module.respond)  # type: ignore[method-assign]
    return cast(nn.Module, torch.compile(network, dynamic=False))
