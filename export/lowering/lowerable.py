"""Which trained models lower, and with which input: what does not says what to train instead."""

from __future__ import annotations

from export.description.encodings import ENCODINGS
from export.description.network import Source
from export.description.quantisation import Quantiser
from export.lowering.errors import LoweringError
from snn_ssm.config import MESSAGES, SPIKING, ModelConfig

INPUT = "input"
RESIDUALS = ("folded", "relayed")
GATED = ("glu", "gsu")  # mixings whose output is no sum of spikes


def check_lowers(
    model: ModelConfig, cells: str | None, messages: str | None = None, residual: str = "folded"
) -> None:
    """Raise :class:`LoweringError` for a model without a spiking form; names the first layer of it.

    ``cells``, ``messages``: those asked for, None for what the model was trained for.
    """
    _check_cells(model, cells)
    _check_messages(model, messages)
    _check_residual(model, residual)
    if model.architecture == "transformer":
        raise LoweringError(
            "blocks.0.attention: a transformer looks at all steps at once and has no spikes. "
            "Train with model.architecture = \"state-space\"."
        )
    if model.pair:
        raise LoweringError(
            "decoder: it reads products of two sequences' features, which one network that runs "
            "once does not have. Train with model.pair = false."
        )
    if model.bidirectional:
        raise LoweringError(
            "blocks.0.ssm: a bidirectional layer sees the future and cannot run step by step. "
            "Train with model.bidirectional = false."
        )
    if model.norm == "layer":
        raise LoweringError(
            "blocks.0.norm: a layer norm divides by a value of the current step and cannot be "
            "folded into weights. Train with model.norm = \"batch\"."
        )
    if model.activation == "ternary":
        raise LoweringError(
            "blocks.0: the activation 'ternary' compares with the largest membrane of the step, "
            "which no neuron knows. Train with model.activation = \"ternary-constant\"."
        )
    if model.activation not in SPIKING:
        raise LoweringError(
            f"blocks.0: the activation {model.activation!r} is not a spike. "
            "Train with model.activation = \"heaviside\"."
        )
    if model.mixing == "gsu" and model.gsu_norm == "layer":
        raise LoweringError(
            "blocks.0.mixing.norm: a layer norm divides by a value of the current step, and the "
            "product that it norms is never in one place. Train with model.gsu_norm = \"batch\"."
        )


def _check_cells(model: ModelConfig, cells: str | None) -> None:
    if cells is not None and cells != model.cells and "egru" in (cells, model.cells):
        raise LoweringError(
            f"blocks.0.ssm: the model has {model.cells} cells, which {cells} cells cannot be: "
            "those of egru gate their own state and send it. Leave out --cells, or train with "
            f"model.cells = \"{cells}\"."
        )
    if cells == "stock" and model.cells != "stock":
        raise LoweringError(
            f"blocks.0.ssm: the model has {model.cells} cells, which IF_curr_exp cannot be. Leave "
            "out --cells, or train with model.cells = \"stock\"."
        )
    if cells == "lif" and model.cells != "lif":
        raise LoweringError(
            f"blocks.0.ssm: the model has {model.cells} cells, which lif cells cannot be: one "
            "leaks and resets to 0 after a spike, the other need not. Leave out --cells, or train "
            "with model.cells = \"lif\"."
        )


def _check_messages(model: ModelConfig, messages: str | None) -> None:
    if messages is not None and messages not in MESSAGES:
        raise LoweringError(f"messages {messages!r}; use one of {', '.join(MESSAGES)}.")
    if messages == "differences" and model.activation != "integer":
        raise LoweringError(
            f"blocks.0: the activation {model.activation!r} has no counts of which to send "
            "differences. Leave out --messages, or train with model.activation = \"integer\"."
        )


def _check_residual(model: ModelConfig, residual: str) -> None:
    if residual not in RESIDUALS:
        raise LoweringError(f"residual {residual!r}; use one of {', '.join(RESIDUALS)}.")
    if residual == "relayed" and model.mixing not in GATED:
        raise LoweringError(
            f"blocks.0.mixing: with {model.mixing} mixing the stream is a sum of spikes, which "
            "layers receive as it is; there is nothing to relay. Leave out --residual, or train "
            f"with model.mixing = \"{GATED[0]}\" or \"{GATED[1]}\"."
        )


def input_source(
    model: ModelConfig, encoding: str | None, quantiser: Quantiser | None = None
) -> Source:
    """The network's input. ``encoding`` None: ``token`` for an embedding, else ``bits`` for
    integers and ``current`` for real values; with a ``quantiser``, their ``bits`` are those of it.

    Raises :class:`LoweringError` for an encoding that the encoder does not read, ``bits`` of real
    values without a quantiser and one of others, ``NetworkError`` for an unknown encoding.
    """
    symbols = model.encoder == "embedding"
    if quantiser is not None:
        return _quantised(model, encoding, quantiser)
    if encoding is None:
        encoding = "token" if symbols else "bits" if model.input_bits else "current"
    kind = ENCODINGS.get(encoding)
    if kind is not None and symbols != kind.symbols:
        wanted = "'token'" if symbols else "'bits', 'current' or 'spikes'"
        raise LoweringError(
            f"encoder: {'an embedding' if symbols else 'a linear encoder'} does not read the input "
            f"encoding {encoding!r}; expected {wanted}. Leave out --input, or train with "
            f"model.encoder = \"{'linear' if symbols else 'embedding'}\"."
        )
    if kind is not None and kind.fractions:
        raise LoweringError(
            f"encoder: the input encoding {encoding!r} needs a quantiser; expected the range of "
            "the samples. Export with --input bits and --data, or call lower with quantiser."
        )
    if kind is not None and kind.integers and not model.input_bits and not symbols:
        raise LoweringError(
            "encoder: it reads real values, whose bits are those of a quantiser; expected the "
            "range of the samples. Give the training samples as --data, or export with --input "
            "current, which SpiNNaker lacks."
        )
    if symbols:
        return Source(INPUT, encoding, 1, symbols=model.inputs)
    if kind is not None and kind.binary:
        if model.input_bits > 1:
            raise LoweringError(
                f"encoder: a channel of {model.input_bits} bits is no spike of value 0 or 1. "
                "Export with --input bits, or train with model.input_bits = 1."
            )
        return Source(INPUT, encoding, model.inputs)
    return Source(INPUT, encoding, model.inputs, model.input_bits)


def _quantised(model: ModelConfig, encoding: str | None, quantiser: Quantiser) -> Source:
    if model.encoder == "embedding" or model.input_bits:
        symbols = model.encoder == "embedding"
        found = "symbols" if symbols else f"integers of {model.input_bits} bits"
        raise LoweringError(
            f"encoder: it reads {found}, which are spikes as they are; expected real values to "
            "quantise. Leave the quantiser out (--bits, --data)."
        )
    if encoding not in (None, "bits"):
        raise LoweringError(
            f"encoder: a quantiser gives bits, and the input encoding is {encoding!r}. Export "
            "with --input bits, or leave the quantiser out (--bits, --data)."
        )
    if len(quantiser.fraction) != model.inputs:
        raise LoweringError(
            f"encoder: a quantiser of {len(quantiser.fraction)} channels; expected {model.inputs}, "
            "those that the model reads. Give samples of these as --data."
        )
    return quantiser.source(INPUT)
