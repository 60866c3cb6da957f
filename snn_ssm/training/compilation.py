"""The training step compiled: norms, spikes and mixing fused by ``torch.compile``."""

from __future__ import annotations

import sys
from types import MethodType
from typing import cast

import torch
from torch import nn

from pynn_models.errors import SnnSsmError
from snn_ssm.model.block import Block
from snn_ssm.model.layers import Layer
from snn_ssm.model.sequence import SequenceModel


class CompilationError(SnnSsmError):
    """The training step cannot be compiled in this process, or gains nothing by it."""


def require_gpu(device: torch.device) -> None:
    """Raise :class:`CompilationError` for a step on the CPU, where its operators are faster.

    ``benchmarks/compiled.py`` compares both; without the operators a compiled step gains little,
    and what compiles one compiles the other.
    """
    if device.type == "cpu":
        raise CompilationError(
            "--compile is given for --device cpu; expected a GPU. On the CPU the operators that "
            "snn-ssm compiles itself make a faster step than torch.compile does. Leave --compile "
            "out, or train with --device cuda."
        )


def compiled(network: SequenceModel) -> nn.Module:
    """The same function of the same parameters, compiled at its first call for each batch size.

    Layers stay as they are: the compiler has no complex arithmetic, and Fourier transforms and
    loops over steps gain nothing. So does the encoder, which looks at symbols to check them.
    Values differ by rounding, and by the spikes that it turns. For GPUs (:func:`require_gpu`),
    but right on any device.

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
            # The norm is compiled, apart from the layer, which could take both in one pass.
            module.normed = MethodType(Layer.normed, module)  # type: ignore[method-assign]
        if isinstance(module, Block) and module.looped:
            module.respond = torch.compiler.disable(module.respond)  # type: ignore[method-assign]
    return cast(nn.Module, torch.compile(network, dynamic=False))
