"""What every network has around its blocks: encoder, pooling and decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pynn_models.errors import SnnSsmError
from snn_ssm.config import ModelConfig
from snn_ssm.model.layout import by_sample, from_rows, rows
from snn_ssm.model.pooling import Pooling


class ModelError(SnnSsmError):
    """An input that does not fit the model, or a way to run it that the model lacks."""


class Output(NamedTuple):
    """Logits (B, classes), and each layer's membrane ``y`` and output ``s``, (B, H, L).

    Of a model that answers at each step the logits are (B, L, classes). ``beginnings``: scores of
    beginnings of the samples, (B, P - 1, classes), where the model was asked for them.
    A transformer has no such layers: both lists are empty. With ``pair`` the lists hold
    (2 B, H, L / 2): the samples' first sequences, then their second ones.
    """

    logits: Tensor
    membranes: list[Tensor]
    outputs: list[Tensor]
    beginnings: Tensor | None = None


class SequenceModel(nn.Module):
    """Encoder -> depth x block -> linear decoder and pooling (:mod:`snn_ssm.model.pooling`).

    Input ``p``: (B, C, L) channels, scaled by ``input_scale`` (``linear`` encoder), or (B, 1, L)
    symbols (``embedding``). With ``pair`` it is two sequences of L/2 steps; one network reads both,
    and the decoder reads ``[h1, h2, h1 h2, h1 - h2]`` of their pooled features.
    ``block``: makes a block from the configuration and a generator of random numbers.
    """

    def __init__(
        self,
        config: ModelConfig,
        seed: int,
        block: Callable[[ModelConfig, torch.Generator], nn.Module],
        encoder_bias: bool = True,
    ) -> None:
        super().__init__()
        self.config = config
        self.each_step = config.each_step  # whether the scores of each step are the output
        self.prefixes = 0  # P: training asks for the scores of the first j / P of a sample, too
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder: nn.Module = (
                nn.Embedding(config.inputs, config.channels)
                if config.encoder == "embedding"
                else nn.Linear(config.inputs, config.channels, bias=encoder_bias)
            )
            self.blocks = nn.ModuleList(block(config, generator) for _ in range(config.depth))
            features = 4 * config.channels if config.pair else config.channels
            self.decoder = nn.Linear(features, config.classes)
            self.pooling = Pooling(config)

    def encode(self, p: Tensor) -> Tensor:
        """The residual stream before the first block, (B, H, L); (2B, H, L/2) for pairs.

        Raises :class:`ModelError` for an input of another shape, and symbols there are none of.
        """
        self._check_shape(p)
        if self.config.pair:
            p = torch.cat(p.chunk(2, dim=-1))  # (2B, C, L/2)
        if isinstance(self.encoder, nn.Embedding):
            return by_sample(self.encoder(self._symbols(p)).movedim(2, 0).contiguous())
        scaled = p.to(self.encoder.weight.dtype) * self.config.input_scale  # (B, C, L)
        h = from_rows(torch.mm(self.encoder.weight, rows(scaled)), p).to(scaled.dtype)  # (B, H, L)
        return h if self.encoder.bias is None else h + self.encoder.bias[:, None]

    def _check_shape(self, p: Tensor) -> None:
        symbols = isinstance(self.encoder, nn.Embedding)
        channels = 1 if symbols else self.config.inputs
        if p.ndim != 3 or p.shape[1] != channels or p.shape[2] == 0:
            raise ModelError(
                f"the input has shape {tuple(p.shape)}; expected (B, {channels}, L), L >= 1 steps "
                f"of {'one symbol' if symbols else f'{channels} channels, as model.inputs says'}. "
                "Use the samples of the task that the model was configured for."
            )
        if self.config.pair and p.shape[2] % 2:
            raise ModelError(
                f"the input has {p.shape[2]} steps; expected an even number with model.pair, two "
                "sequences of equal length. Pad the shorter one."
            )

    def _symbols(self, p: Tensor) -> Tensor:
        """The symbols (B, L) of an input (B, 1, L), each a row of the embedding."""
        symbols = p[:, 0].long()
        low, high = int(symbols.min()), int(symbols.max())
        if low < 0 or high >= self.config.inputs:
            raise ModelError(
                f"the input has symbols {low} to {high}; expected 0 to {self.config.inputs - 1}, "
                "as model.inputs says. Use the samples of the task that the model was configured "
                "for."
            )
        return symbols

    def beginnings(self, h: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Scores of the first j / P of each sample, j = 1 .. P - 1: (B, P - 1, K); or None."""
        if not self.prefixes:
            return None
        whole = torch.full(h.shape[:1], h.shape[-1], device=h.device)
        parts = torch.arange(1, self.prefixes, device=h.device)
        ends = (whole if lengths is None else lengths)[:, None] * parts // self.prefixes  # (B, P-1)
        z = self.pooling(h, self.decoder, None, True)  # (B, L, K)
        return z[torch.arange(len(z), device=z.device)[:, None], (ends - 1).clamp(min=0)]

    def pool(self, h: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores from the residual stream as :meth:`encode` shapes it, of samples of ``lengths``.

        (B, classes), or (B, L, classes) of each step. Raises :class:`ModelError` for lengths that
        the model cannot heed: it reads what fills samples up.
        """
        config = self.config
        blind = config.pair or config.bidirectional or config.architecture == "transformer"
        if lengths is not None and blind:
            raise ModelError(
                "samples have different lengths, and a pair, a bidirectional model or a "
                "transformer reads what fills them up. Give samples of one length."
            )
        if not config.pair:
            return self.pooling(h, self.decoder, lengths, self.each_step)
        one, two = self.pooling.features(h, None).chunk(2)
        return self.decoder(torch.cat([one, two, one * two, one - two], dim=-1))  # of (B, 4H)
