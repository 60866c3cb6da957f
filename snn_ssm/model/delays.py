"""Delays that are learned, and the recurrent matrix: what a synapse does besides its weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.delays import whole_delays


class Delays(nn.Module):
    """Delays ``d = D sigmoid(p)``, one a synapse (to, from) or one an axon (from,).

    In training a synapse is a triangle of taps around its delay, so that it can move::

        k[n] = max(0, 1 - |n - d| / (1 + width)),   n = 0..D,   over their sum

    ``width``, in steps, is set by training (:func:`snn_ssm.training.methods.narrow`) and goes to 0;
    in evaluation the delay is a whole number of steps, :func:`snn_ssm.delays.whole_delays`.
    ``position`` p starts such that delays are uniform in 0 to D. Source: Hammouamri,
    Khalfaoui-Hassani & Masquelier 2024, *Learning Delays in Spiking Neural Networks using Dilated
    Convolutions with Learnable Spacings*, with the triangle of DelRec (arXiv 2509.24852).
    """

    def __init__(self, config: ModelConfig, largest: int) -> None:
        super().__init__()
        self.largest = largest
        self.width = width_at(largest, 0.0)
        h = config.channels
        shape = (h, h) if config.delay_per == "synapse" else (h,)
        share = torch.empty(shape).uniform_(0.02, 0.98)
        self.position = nn.Parameter(torch.log(share / (1 - share)))

    def taps(self) -> Tensor:
        """What each delay weighs, (..., D + 1); sums to 1."""
        n = torch.arange(self.largest + 1, device=self.position.device)
        if not self.training:
            whole = whole_delays(self.position.detach().cpu().double().numpy(), self.largest)
            steps = torch.from_numpy(whole).to(n.device)
            return (steps[..., None] == n).to(self.position.dtype)
        d = self.largest * torch.sigmoid(self.position)  # (to, from) or (from,)
        k = torch.relu(1 - (n - d[..., None]).abs() / (1 + self.width))
        return k / k.sum(-1, keepdim=True)

    def kernel(self, weight: Tensor) -> Tensor:
        """``weight`` (to, from) at its taps, the longest delay first: (to, from, D + 1)."""
        return (weight[..., None] * self.taps()).flip(-1)


def delayed(weight: Tensor, s: Tensor, delays: Delays, before: Tensor | None = None) -> Tensor:
    """``o[t] = sum_n weight k[n] s[t - n]``: (H', H), (B, H, L) -> (B, H', L).

    ``before`` (B, H, D): the steps before the first one; None: there was nothing.
    """
    early = s.new_zeros(*s.shape[:2], delays.largest) if before is None else before
    s = torch.cat([early, s], dim=-1)
    taps = delays.taps()
    if taps.ndim == 2:  # one an axon: each channel by itself, then one product
        late = functional.conv1d(s, taps.flip(-1)[:, None], groups=len(taps))
        return torch.einsum("oh,bhl->bol", weight, late)
    return functional.conv1d(s, delays.kernel(weight))


class Recurrent(nn.Module):
    """``r[t] = sum_j W_hj s_j[t - 1 - d_hj]``: a layer's own spikes of the steps before.

    ``weight`` (H, H), (to, from), starts orthogonal and a quarter as large; d is 0, or learned with
    ``recurrent_delays``. Source of both: DelRec (arXiv 2509.24852), which has the delays an axon.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h, largest = config.channels, config.recurrent_delays
        self.memory = 1 + largest
        """For how many steps a spike is remembered."""
        self.weight = nn.Parameter(torch.empty(h, h))
        nn.init.orthogonal_(self.weight, gain=0.25)
        self.delays = Delays(config, largest) if largest else None

    def product(self) -> Callable[[Tensor], Tensor]:
        """The map of the spikes of the last ``memory`` steps (B, H, memory), the latest last, to
        r (B, H); made once for all steps of a sequence."""
        if self.delays is None:
            weight = self.weight
            return lambda past: functional.linear(past[..., -1], weight)
        kernel = self.delays.kernel(self.weight).flatten(1)  # (to, from * memory)
        return lambda past: functional.linear(past.flatten(1), kernel)


def width_at(largest: int, progress: float) -> float:
    """``D/2 (0.02/D)^t`` for a share t < 1 of the time in which delays settle, then 0.

    From half of the range it shrinks exponentially to a hundredth of a step.
    """
    return 0.0 if progress >= 1 else largest / 2 * (0.02 / largest) ** progress
