"""How the margin of an answer depends on the input: a gradient for attacks, not for training."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_ssm.model.block import Block
from snn_ssm.model.network import Network


class Sensitivity(NamedTuple):
    """``margins`` (B,) of samples (B, C, L), and their ``gradient`` of the same shape as these."""

    margins: NDArray[np.float64]
    gradient: NDArray[np.float64]


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """``logit_label - max of the others``, (B,): below 0 the answer is another."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - others.amax(1)


def sensitivity(
    network: Network, samples: NDArray[np.generic], labels: NDArray[np.int64]
) -> Sensitivity:
    """The gradient of the margin with respect to the values of the input's channels.

    The surrogate is one of the attacker's own, whatever the network was trained with: a normal
    density of mean sigma / 2 and deviation sigma, sigma that of the layer's own membranes on these
    samples, so that it is as wide as what there is to move. ``samples`` (B, C, L), ``labels`` (B,).
    Source: Lun et al. 2025, *Towards Effective and Sparse Adversarial Attack on Spiking Neural
    Networks via Breaking Invisible Surrogate Gradients* (PDSG), arXiv 2503.03272.
    """
    attacked = copy.deepcopy(network).eval()
    p = torch.from_numpy(np.array(samples, dtype=np.float32))
    blocks: list[Block] = list(attacked.blocks)
    with torch.no_grad():
        for block, y in zip(blocks, attacked(p).membranes, strict=True):
            block.surrogate, block.slope = "shifted-gaussian", 1 / max(float(y.std()), 1e-6)
            block.ssm.surrogate, block.ssm.slope = block.surrogate, block.slope
    p.requires_grad_()
    found = margins(attacked(p).logits, torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(found.sum(), p)
    return Sensitivity(found.detach().double().numpy(), gradient.double().numpy())
