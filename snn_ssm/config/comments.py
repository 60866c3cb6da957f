"""A configuration as a file to start from: every key, its default, and what it means. No torch."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Collection, Mapping

import tomli_w

from snn_ssm import config as keys
from snn_ssm.config import Config, to_dict
from snn_ssm.kinds import MIXINGS, OUTPUTS

_TASK = {
    "name": "the task, as the command line names it",
    "steps": "length of a sample in steps",
    "permutation": "step k reads element permutation[k]; empty: the natural order",
    "train_samples": "the first so many training samples; 0: all",
    "valid_samples": "training samples held out to validate with, in whole groups where there are "
    "any; 0: none, or the data's own",
    "valid_fold": "I/K: hold out part I of K instead, and leave the test samples unread",
    "classes": "names of classes, labels or values; empty: the task's own, or numbers",
    "columns": "of own tables: the channels' names, found in any order; empty: as they stand",
    "sample_rate": "of the recordings, in Hz; 0: not known",
    "encode": "own recordings of real values as integers or spikes: " + ", ".join(keys.ENCODE),
    "encode_size": "bits (levels, delta), thresholds a channel (crossings) or bands (cochlea)",
    "encode_low": "low end of each channel's range, or of the frequencies in Hz (cochlea)",
    "encode_high": "high end of each channel's range, or of the frequencies in Hz (cochlea)",
    "encode_hop": "recorded steps a step; cochlea only",
    "event_bin": "microseconds of events a step",
    "event_sensor": "width and height; empty: those of the events",
    "event_pool": "neighbouring pixels, or channels, that are taken for one, in each direction",
    "event_polarity": "of events: " + ", ".join(keys.POLARITIES),
    "stride": "read every so many steps only; steps are those that are read",
}
_MODEL = {
    "architecture": " or ".join(keys.ARCHITECTURES) + ", a baseline",
    "inputs": "channels of the input, or number of symbols (embedding)",
    "classes": "number of classes, labels or values",
    "encoder": "linear (of values) or embedding (of symbols)",
    "input_bits": "width of unsigned integer inputs, 1 to 16; 0: real values",
    "input_scale": "what inputs are multiplied by before the encoder",
    "pair": "a sample is two sequences of equal length, one after the other",
    "channels": "neurons a layer, H",
    "depth": "layers",
    "heads": "heads of a transformer",
    "cells": "native; stock: PyNN's IF_curr_exp; lif: leaky, reset; egru: gated units, NEST only",
    "modes": "modes a channel, N; a complex one stands for a conjugate pair",
    "n_ssm": "sets of modes that the channels share; 0: one set a channel",
    "mode_init": ", ".join(keys.MODE_INITS),
    "discretisation": " or ".join(keys.DISCRETISATIONS),
    "dt_min": "smallest step Delta at the start of training",
    "dt_max": "largest step Delta at the start of training",
    "activation": ", ".join(keys.ACTIVATIONS) + f"; spikes are the first {len(keys.SPIKES)}",
    "spike_levels": "most spikes of a neuron in a step, D; activation integer only",
    "messages": "of integer spikes: " + " or ".join(keys.MESSAGES) + " from step to step",
    "reset": "what a spike does to the modes of native cells: " + ", ".join(keys.RESETS),
    "refractory": "steps without a spike after one; with a reset only",
    "history": "for how many steps a membrane above the threshold moves it",
    "membrane_norm": "a batch norm on the membrane, too; it folds into the cell",
    "surrogate": "gradient of the spike: " + ", ".join(keys.SURROGATES),
    "surrogate_slope": "its slope; larger is narrower",
    "mixing": "between channels: " + ", ".join(MIXINGS),
    "gsu_weights": "matrices of a GSU; 1: value and gate share one",
    "gsu_norm": "norm of a GSU's product: " + ", ".join(keys.NORMS) + "; batch is deployable",
    "bidirectional": "read in both directions; does not export",
    "norm": ", ".join(keys.NORMS) + "; layer does not export",
    "prenorm": "the norm before the layer; false: after the residual sum",
    "dropout": "share of values dropped in training",
    "output": ", ".join(OUTPUTS) + "; labels: a class at each step",
    "per_step": "output values only: at each step",
    "pooling": "what is read of all steps: " + ", ".join(keys.POOLINGS) + " (exponential)",
    "pooling_tau": "time constant of the filter at the start of training, in steps",
    "quantise_decays": "train with modes that SpiNNaker represents",
    "recurrent": "a layer's spikes reach itself a step later",
    "delays": "largest delay of the mixing in steps, learned; 0: none",
    "recurrent_delays": "the same of recurrent spikes, besides their one step",
    "delay_per": "learned delays: one a " + " or one an ".join(keys.DELAYS_PER),
    "weight_bits": "train with mixing weights of so many bits, 2 to 16; 0: not rounded",
}
_TRAINING = {
    "epochs": "passes over the training samples",
    "batch_size": "samples a step, of all processes together",
    "rate": "largest learning rate",
    "mode_rate": "the same for the modes (a, omega, b, log_dt)",
    "weight_decay": "AdamW's, not for modes",
    "warmup": "share of all steps in which the rate rises",
    "clip": "largest norm of the gradient",
    "seed": "of the parameters, the order of samples and dropout",
    "precision": " or ".join(keys.PRECISIONS) + " (matrix products only)",
    "rate_penalty": "times the mean of max(0, spike rate - rate_target)^2, added to the loss",
    "class_weights": "what the loss of each class, label or value is multiplied by; empty: 1",
    "select": "the epoch whose model is kept: the last, or the best on samples that validate "
    "(valid)",
    "value_loss": "output values only: " + " or ".join(keys.LOSSES),
    "huber_delta": "error beyond which a huber loss is linear",
    "sparsity": "share of each mixing matrix pruned to 0 over the first half of training",
    "gradient_noise": "standard deviation of what is added to gradients, at the first step",
    "through_time": "cells with a reset: gradients go from a step to the one before; false: SLTT",
    "gradient_steps": "the same: steps of a batch that have a gradient; 0: all (SLTT-K)",
    "through_reset": "native cells with a reset, egru: a spike's gradient goes through its reset",
    "prefixes": "P: the first 1/P, 2/P, ... of a sample are to be answered, too; 0: none",
    "rate_target": "spikes a neuron and step that cost nothing",
}
MEANINGS = {"task": _TASK, "model": _MODEL, "training": _TRAINING}


def commented(config: Config, later: Mapping[str, Collection[str]] | None = None) -> str:
    """TOML of a configuration, before each key a comment: what it means, and its default.

    :func:`snn_ssm.config.loads` returns the same configuration. ``later``: keys that follow from
    the data, by table, which stand there as comments.

    >>> print(*commented(Config()).splitlines()[:3], sep="\\n")
    [task]
    # the task, as the command line names it (default: "smnist")
    name = "smnist"
    """
    parts = []
    for table in dataclasses.fields(config):
        settings = getattr(config, table.name)
        values = to_dict(settings)
        lines = []
        for key in dataclasses.fields(settings):
            default = tomli_w.dumps({"": to_dict(key.default)}).partition("=")[2].strip()
            meaning = f"{MEANINGS[table.name][key.name]} (default: {default})"
            comment = textwrap.fill(
                meaning, 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
            )
            if key.name in (later or {}).get(table.name, ()):
                lines.append(f"{comment}\n# {key.name}: from the data, where it is not set\n")
            else:
                lines.append(f"{comment}\n{tomli_w.dumps({key.name: values[key.name]})}")
        parts.append(f"[{table.name}]\n" + "\n".join(lines))
    return "\n".join(parts)
