"""The layer of stock cells: one real mode a neuron, which is its synaptic current."""

from __future__ import annotations

import torch
from torch import nn

from snn_ssm.config import ModelConfig
from snn_ssm.model import modes
from snn_ssm.model.layers import DiscreteModes, ModeLayer
from snn_ssm.model.quantise import grid_decays


class StockLayer(ModeLayer):
    """``x[k] = abar x[k-1] + u[k]``, ``y = x``, ``abar = exp(-n / 2^15)``, 66 <= n <= 2^18.

    What one synaptic current of ``IF_curr_exp`` does, whose decay on SpiNNaker is a function of the
    integer n. The one parameter, ``a`` (H,), is ``log(n / 2^15)`` before rounding; rounding passes
    its gradient through. The time constants start log-uniform in 1/dt_max to 1/dt_min steps.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        rate = modes.init_log_dt(config.channels, config.dt_min, config.dt_max, generator)
        self.a = nn.Parameter(rate.float())

    def discrete(self) -> DiscreteModes:
        """``abar`` (H, 1), ``g`` = 1, ``d`` = 0."""
        abar = grid_decays(torch.exp(self.a.double()))[:, None]  # (H, 1)
        return DiscreteModes(abar, torch.ones_like(abar)[None], torch.zeros_like(abar[:, 0]))
