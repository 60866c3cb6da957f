"""The state-space spiking network: thin torch modules over pure functions, run in three ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.model.block import Block
from snn_ssm.model.sequence import Output, SequenceModel
from snn_ssm.model.transformer import Transformer


class Network(SequenceModel):
    """Encoder -> depth x :class:`Block` -> pooling -> decoder: the paper's network.

    Causal unless ``bidirectional``. Source: Stan & Rhodes, arXiv 2401.00955, section 2.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__(config, seed, Block, encoder_bias=config.cells != "stock")

    def forward(self, p: Tensor, lengths: Tensor | None = None) -> Output:
        """The network as convolutions (layers that reset: step after step), for training.

        ``lengths`` (B,): the steps of each sample that count; None: all.
        """
        return self._run(p, lengths, scanned=False)

    def scan(self, p: Tensor, lengths: Tensor | None = None) -> Output:
        """The network as blockwise recurrences (inference)."""
        return self._run(p, lengths, scanned=True)

    def _run(self, p: Tensor, lengths: Tensor | None, *, scanned: bool) -> Output:
        h = self.encode(p)  # (B, H, L)
        membranes, outputs = [], []
        for block in self.blocks:
            h, y, s = block.run(h, scanned)
            h = block.after(h, y, s)
            membranes.append(y)
            outputs.append(s)
        return Output(self.pool(h, lengths), membranes, outputs, self.beginnings(h, lengths))

    @torch.no_grad()
    def steps(
        self, p: Tensor, levels: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> Output:
        """The network one step at a time, the way a simulator runs it (inference).

        Within a step the layers follow one another; all states advance before the next step.
        ``levels``, (H,) a layer: what membranes must exceed to spike, in place of the thresholds.
        """
        blocks: list[Block] = list(self.blocks)
        above: Sequence[Tensor | None] = levels or [None] * len(blocks)
        recurrences = [block.recurrence(level) for block, level in zip(blocks, above, strict=True)]
        firing = [block.firing(level) for block, level in zip(blocks, above, strict=True)]
        encoded = self.encode(p)  # (B, H, L)
        fired = [found.initial(encoded) for found in firing]
        states = [recurrence.initial(encoded) for recurrence in recurrences]
        shape = encoded.shape
        membranes = [encoded.new_empty(shape) for _ in blocks]
        outputs = [encoded.new_empty(shape) for _ in blocks]
        products = [block.recurrent and block.recurrent.product() for block in blocks]
        stream = torch.empty_like(encoded)
        for k in range(shape[-1]):
            h = encoded[..., k : k + 1]  # (B, H, 1)
            for i, block in enumerate(blocks):
                u = block.before(h)[..., 0]  # (B, H)
                product = products[i]
                if block.recurrent is not None and product is not None:
                    u = u + product(_last(outputs[i], k, block.recurrent.memory))
                states[i], y = recurrences[i].step(states[i], u)
                y = block.membrane(y[..., None])  # (B, H, 1)
                fired[i], s = firing[i].step(fired[i], y)
                h = block.after(h, y, s, _last(outputs[i], k, block.delays))
                membranes[i][..., k : k + 1] = y
                outputs[i][..., k : k + 1] = s
            stream[..., k : k + 1] = h
        return Output(self.pool(stream, lengths), membranes, outputs)


def _last(outputs: Tensor, k: int, count: int) -> Tensor:
    """The outputs of the ``count`` steps before step k, (B, H, count); 0 before the first."""
    found = outputs[..., max(k - count, 0) : k]
    return functional.pad(found, (count - found.shape[-1], 0))


def build_network(config: ModelConfig, seed: int = 0) -> Network | Transformer:
    """The network of a configuration, initialised from ``seed``."""
    if config.architecture == "transformer":
        return Transformer(config, seed)
    return Network(config, seed)
