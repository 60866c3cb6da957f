"""Model and training configuration: frozen dataclasses <-> TOML. Imports no torch.

A configuration file has three tables: ``[task]`` (what is learned), ``[model]`` (the network) and
``[training]`` (how). Every key has a type and a range, checked when the dataclass is made, so a
configuration that exists is valid.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from pynn_models.errors import SnnSsmError
from snn_ssm.kinds import CELLS, MIXINGS, OUTPUTS
from snn_ssm.reading import LARGEST_TEXT, parse_toml, read_regular

T = TypeVar("T")

ARCHITECTURES = ("state-space", "transformer")
MODE_INITS = ("s4d-lin", "s4d-inv", "s4d-legs", "s4d-real")
DISCRETISATIONS = ("zoh", "bilinear")
ENCODERS = ("linear", "embedding")
NORMS = ("batch", "layer", "none")
SPIKES = ("heaviside", "integer", "ternary", "ternary-constant", "bernoulli")
SPIKING = ("heaviside", "integer", "bernoulli", "ternary-constant")  # bernoulli: y > 0 when tested
ACTIVATIONS = (*SPIKES, "sigmoid", "tanh", "hard-sigmoid", "relu", "gelu", "identity")
SURROGATES = ("fast-sigmoid", "arctan", "triangle", "multi-gaussian")
POOLINGS = ("mean", "last", "filter")
ENCODE = ("none", "levels", "crossings", "delta", "cochlea")  # what is made of own recordings
POLARITIES = ("both", "merged", "on")
LOSSES = ("mse", "huber")  # of values
SELECTIONS = ("last", "valid")
DELAYS_PER = ("synapse", "axon")
_LONGEST_DELAY = 1000  # steps: each is a tap of a convolution
RESETS = ("none", "soft", "hard")
PRECISIONS = ("float32", "bf16")
_LARGEST = 2**16  # of sizes: more is a slip of the hand, which torch would answer without a name
_LONGEST = 2**24  # of steps: a quarter of an hour of sound
_FASTEST = 1e6  # of rates: more than float32 bears after a step or two
_LONGEST_REST = 2**20  # steps, as _LONGEST_HISTORY: what a cell of pynn_models can have
_LONGEST_HISTORY = 32
_MOST_LEVELS = 255  # of integer spikes: what fits a byte
_SEEDS = 2**63
_SHOWN = 200  # characters of a wrong value


class ConfigError(SnnSsmError):
    """A configuration key is missing, unknown, of the wrong type or out of range."""


def _require(condition: bool, where: str, found: object, expected: str) -> None:
    if not condition:
        shown = repr(found)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        raise ConfigError(f"[{where}] is {shown}; expected {expected}. Correct the configuration.")


def _one_of(where: str, found: str, allowed: Collection[str]) -> None:
    _require(found in allowed, where, found, "one of " + ", ".join(allowed))


@dataclass(frozen=True)
class TaskConfig:
    """What is learned: the task's name, the length of one sample and the fixed pixel order.

    ``permutation`` is empty for the natural order; otherwise step k of a sample is element
    ``permutation[k]`` of the natural order. ``train_samples``: the first so many training samples
    in the task's fixed order; 0: all. ``valid_samples``: so many of these are held out to validate
    with; 0: none, or the data's own. ``stride``: read every so many steps of that order only;
    ``steps`` are those that are read. ``classes``: the names of classes, labels or values; empty:
    the task's own, or numbers. ``sample_rate``: of the recordings, in Hz; 0: not known.

    Of the task ``own`` alone: ``encode`` makes integers or spikes of real values
    (:mod:`snn_ssm.tasks.encoders`), with ``encode_size`` (bits, thresholds or bands),
    ``encode_low`` and ``encode_high`` (the range of each channel, or frequencies in Hz) and
    ``encode_hop`` (recorded steps a step). Events are counted into steps of ``event_bin`` µs, on
    ``event_sensor`` (width, height) of which ``event_pool`` neighbours in a row are one, of
    ``event_polarity`` ``both`` apart, ``merged``, or ``on`` ones only.
    """

    name: str = "smnist"
    steps: int = 784
    permutation: tuple[int, ...] = ()
    train_samples: int = 0
    valid_samples: int = 0
    stride: int = 1
    classes: tuple[str, ...] = ()
    sample_rate: float = 0.0
    encode: str = "none"
    encode_size: int = 8
    encode_low: tuple[float, ...] = ()
    encode_high: tuple[float, ...] = ()
    encode_hop: int = 1
    event_bin: float = 1000.0
    event_sensor: tuple[int, ...] = ()
    event_pool: int = 1
    event_polarity: str = "both"

    def __post_init__(self) -> None:
        _require(0 < self.steps <= _LONGEST, "task.steps", self.steps,
                 f"a positive number of steps, up to {_LONGEST}")
        _require(self.train_samples >= 0, "task.train_samples", self.train_samples,
                 "0 (all) or a positive number")
        _require(self.valid_samples >= 0, "task.valid_samples", self.valid_samples,
                 "0 (none) or a positive number")
        _require(0 < self.stride <= _LONGEST, "task.stride", self.stride, "a positive integer")
        for i, name in enumerate(self.classes):
            _require(name != "" and name.isprintable(), f"task.classes[{i}]", name,
                     "a name of printable characters")
            _require(name not in self.classes[:i], f"task.classes[{i}]", name,
                     "a name of its own, and it stands twice")
        _require(0 <= self.sample_rate < math.inf, "task.sample_rate", self.sample_rate,
                 "0 (not known) or a number of Hz")
        self._check_encoding()
        if self.permutation:
            last = (self.steps - 1) * self.stride  # the last step that is read
            count = len(self.permutation)
            _require(
                last < count <= last + self.stride
                and sorted(self.permutation) == list(range(count)),
                "task.permutation",
                f"{count} entries",
                f"each of 0..{self.steps - 1} once" if self.stride == 1 else
                f"each index once, of {self.steps} x {self.stride} steps",
            )


    def _check_encoding(self) -> None:
        _one_of("task.encode", self.encode, ENCODE)
        _require(self.name == "own" or self.encode == "none", "task.encode", self.encode,
                 "'none' for a task other than 'own'")
        _require(1 <= self.encode_size <= 256, "task.encode_size", self.encode_size, "1 to 256")
        _require(self.encode_size <= 16 or self.encode not in ("levels", "delta"),
                 "task.encode_size", self.encode_size, f"1 to 16 with encode = {self.encode!r}")
        ends = list(zip(self.encode_low, self.encode_high, strict=False))
        _require(
            len(self.encode_low) == len(self.encode_high)
            and all(-math.inf < low < high < math.inf for low, high in ends)
            and (self.encode != "cochlea" or all(low > 0 for low in self.encode_low)),
            "task.encode_low, encode_high", (self.encode_low, self.encode_high),
            "as many of each, low < high, of frequencies low > 0",
        )
        _require(0 < self.encode_hop <= _LONGEST, "task.encode_hop", self.encode_hop,
                 "a positive number of steps")
        _require(0 < self.event_bin < math.inf, "task.event_bin", self.event_bin,
                 "a positive number of microseconds")
        _require(len(self.event_sensor) in (0, 2) and all(
            0 < n <= _LARGEST for n in self.event_sensor
        ), "task.event_sensor", self.event_sensor, "width and height, or none: those of the events")
        _require(0 < self.event_pool <= _LARGEST, "task.event_pool", self.event_pool,
                 "a positive number of pixels")
        _one_of("task.event_polarity", self.event_polarity, POLARITIES)


@dataclass(frozen=True)
class ModelConfig:
    """The network: encoder -> depth x [norm, layer, spike, mixing, dropout, residual] -> decoder.

    ``architecture``: ``state-space``, or ``transformer`` (a baseline: encoder layers of ``heads``
    heads; of the keys on cells, modes, spikes and mixing it uses none).
    ``inputs``: channels of the input (``linear`` encoder) or number of symbols (``embedding``).
    ``input_bits``: width of an unsigned integer channel; 0 for real-valued input.
    ``input_scale``: the factor applied to a channel before the encoder.
    ``pair``: a sample is two sequences of equal length, one after the other, and the decoder reads
    ``[h1, h2, h1 h2, h1 - h2]`` of their pooled features.
    ``modes``: modes per channel; one complex mode stands for a conjugate pair. ``n_ssm``: sets of
    modes, shared by the channels (channel h has set h mod n_ssm); 0: one set a channel.
    ``cells``: ``native`` state-space cells; ``stock``: one real mode a neuron and nothing a
    simulator's ``IF_curr_exp`` lacks (no feedthrough, no constant through the mode, the batch norm
    on the membrane, decays on the grid of SpiNNaker's), so that no cell of our own is needed;
    ``lif``: leaky integrate-and-fire neurons with a learned decay and reset to zero.
    ``activation``: ``heaviside``, ``integer`` (up to ``spike_levels`` spikes a step), ``ternary``
    (threshold 0.15 of the step's largest magnitude), ``ternary-constant`` (a learned threshold a
    channel), ``bernoulli``, or no spike.
    ``membrane_norm``: a batch norm on the membrane, besides that of the input.
    ``reset``: what a spike does to a native cell's modes: ``soft`` takes a learned r from each,
    ``hard`` sets them to 0, and no spike comes for ``refractory`` steps after one. The threshold is
    learned, too. ``history``: for how many steps a membrane above the threshold moves it, by a
    learned number each.
    ``mixing``: ``linear``; ``glu``; ``gsu`` (a ternary activation), whose product is normalised by
    ``gsu_norm`` and uses ``gsu_weights`` matrices (1: value and gate share one).
    ``output``: ``classes`` (one a sample), ``labels`` (a class at each step), ``values`` (of a
    sample, or ``per_step`` at each step), or ``multi-label`` (any of the labels may hold);
    ``classes`` of scores each. ``pooling``: of the steps of a sample, or up to a step where each is
    answered: their ``mean``, the ``last`` one, or an exponential ``filter`` a score, its time
    constant learned from ``pooling_tau`` steps on.
    ``quantise_decays``: train with modes rounded to what SpiNNaker can represent;
    ``weight_bits``: train mixing weights rounded to signed integers of so many bits, a scale a
    matrix; 0: not rounded.
    ``recurrent``: a layer's spikes reach the layer itself a step later, through a matrix of its
    own. ``delays``: mixing is delayed by up to so many steps, which are learned, one a synapse or
    one a neuron that sends (``delay_per``: ``synapse`` or ``axon``); ``recurrent_delays``: the
    same of what is recurrent, besides its one step; 0: not.
    """

    architecture: str = "state-space"
    inputs: int = 1
    classes: int = 10
    encoder: str = "linear"
    input_bits: int = 8
    input_scale: float = 1.0 / 255.0
    pair: bool = False
    channels: int = 64
    depth: int = 4
    heads: int = 4
    cells: str = "native"
    modes: int = 16
    n_ssm: int = 0
    mode_init: str = "s4d-lin"
    discretisation: str = "zoh"
    dt_min: float = 1e-3
    dt_max: float = 1e-1
    activation: str = "heaviside"
    spike_levels: int = 4
    reset: str = "none"
    refractory: int = 0
    history: int = 0
    membrane_norm: bool = False
    surrogate: str = "fast-sigmoid"
    surrogate_slope: float = 25.0
    mixing: str = "linear"
    gsu_weights: int = 1
    gsu_norm: str = "layer"
    bidirectional: bool = False
    norm: str = "batch"
    prenorm: bool = True
    dropout: float = 0.0
    output: str = "classes"
    per_step: bool = False
    pooling: str = "mean"
    pooling_tau: float = 16.0
    quantise_decays: bool = False
    weight_bits: int = 0
    recurrent: bool = False
    delays: int = 0
    recurrent_delays: int = 0
    delay_per: str = "synapse"

    def __post_init__(self) -> None:
        for key in ("inputs", "classes", "channels", "depth", "modes", "heads"):
            value = getattr(self, key)
            _require(0 < value <= _LARGEST, f"model.{key}", value, f"1 to {_LARGEST}")
        _one_of("model.architecture", self.architecture, ARCHITECTURES)
        _one_of("model.encoder", self.encoder, ENCODERS)
        _one_of("model.cells", self.cells, CELLS)
        _one_of("model.mode_init", self.mode_init, MODE_INITS)
        _one_of("model.discretisation", self.discretisation, DISCRETISATIONS)
        _one_of("model.activation", self.activation, ACTIVATIONS)
        _one_of("model.surrogate", self.surrogate, SURROGATES)
        _one_of("model.mixing", self.mixing, MIXINGS)
        _one_of("model.norm", self.norm, NORMS)
        _one_of("model.gsu_norm", self.gsu_norm, NORMS)
        _require(self.gsu_weights in (1, 2), "model.gsu_weights", self.gsu_weights, "1 or 2")
        _one_of("model.output", self.output, OUTPUTS)
        _one_of("model.pooling", self.pooling, POOLINGS)
        _require(0 < self.pooling_tau <= _LONGEST, "model.pooling_tau", self.pooling_tau,
                 f"a positive number of steps, up to {_LONGEST}")
        _require(0 <= self.input_bits <= 16, "model.input_bits", self.input_bits, "0 to 16 bits")
        _require(
            math.isfinite(self.input_scale) and self.input_scale != 0,
            "model.input_scale", self.input_scale, "a finite number other than 0",
        )
        _require(0 < self.dt_min <= self.dt_max < math.inf, "model.dt_min, dt_max",
                 (self.dt_min, self.dt_max), "0 < dt_min <= dt_max")
        _require(0 < self.surrogate_slope < math.inf, "model.surrogate_slope",
                 self.surrogate_slope, "a positive slope")
        _require(1 <= self.spike_levels <= _MOST_LEVELS, "model.spike_levels", self.spike_levels,
                 f"1 to {_MOST_LEVELS}")
        _one_of("model.reset", self.reset, RESETS)
        _require(0 <= self.refractory <= _LONGEST_REST, "model.refractory", self.refractory,
                 f"0 to {_LONGEST_REST} steps")
        _require(0 <= self.history <= _LONGEST_HISTORY, "model.history", self.history,
                 f"0 to {_LONGEST_HISTORY} steps")
        _require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 <= dropout < 1")
        _require(self.n_ssm >= 0 and self.channels % max(self.n_ssm, 1) == 0, "model.n_ssm",
                 self.n_ssm, f"0, or a divisor of model.channels = {self.channels}")
        _require(self.weight_bits == 0 or 2 <= self.weight_bits <= 16, "model.weight_bits",
                 self.weight_bits, "0, or 2 to 16 bits")
        _one_of("model.delay_per", self.delay_per, DELAYS_PER)
        for key in ("delays", "recurrent_delays"):
            value = getattr(self, key)
            _require(0 <= value <= _LONGEST_DELAY, f"model.{key}", value,
                     f"0 to {_LONGEST_DELAY} steps")
        self._check_combinations()
        self._check_wiring()

    def _check_wiring(self) -> None:
        """Loops and delays need steps that follow each other, and one matrix to delay."""
        with_loop = "with recurrent = true"
        if self.recurrent:
            _one_of("model.architecture", self.architecture, ["state-space"])
            _require(not self.bidirectional, "model.bidirectional", True, f"false {with_loop}")
            _require(not self.membrane_norm, "model.membrane_norm", True, f"false {with_loop}")
            _require(self.cells != "stock", "model.cells", self.cells,
                     f"'native' or 'lif' {with_loop}")
        else:
            _require(self.recurrent_delays == 0, "model.recurrent_delays", self.recurrent_delays,
                     "0 with recurrent = false")
        if self.delays:
            _one_of("model.architecture", self.architecture, ["state-space"])
            _require(self.mixing == "linear", "model.mixing", self.mixing,
                     "'linear' with delays > 0")

    def _check_combinations(self) -> None:
        fixed: Mapping[str, object] = {}
        if self.architecture == "transformer":
            _require(self.channels % self.heads == 0, "model.heads", self.heads,
                     f"a divisor of model.channels = {self.channels}")
        else:
            fixed = CELLS[self.cells].fixed
        for key, value in fixed.items():
            _require(getattr(self, key) == value, f"model.{key}", getattr(self, key),
                     f"{value!r} with cells = \"{self.cells}\"")
        if self.per_step:
            real = [kind.name for kind in OUTPUTS.values() if kind.real]
            _require(self.output in real, "model.per_step", True,
                     f"false, or model.output one of {', '.join(real)}")
        if self.pair:
            _require(not self.each_step, "model.pair", True,
                     "false where each step is answered: a pair has one answer")
            _require(self.pooling != "filter", "model.pooling", self.pooling,
                     "'mean' or 'last' with pair = true")
        self._check_feedback()
        needed = MIXINGS[self.mixing].activations
        if needed:
            _require(self.activation in needed, "model.activation", self.activation,
                     f"{' or '.join(map(repr, needed))} with mixing = \"{self.mixing}\"")
        if self.quantise_decays:
            _require(self.discretisation == "zoh", "model.discretisation", self.discretisation,
                     "'zoh' with quantise_decays = true")

    def _check_feedback(self) -> None:
        """What a reset or a threshold history goes with."""
        resets = self.reset != "none"
        if resets or self.history:
            _require(not self.recurrent, "model.recurrent", self.recurrent,
                     "false with a reset or a history of native cells")
        _require(resets or self.refractory == 0, "model.refractory", self.refractory,
                 "0 with reset = \"none\"")
        if self.history:
            _require(self.activation == "heaviside", "model.activation", self.activation,
                     "'heaviside' with a history")
        alone = {"activation": "heaviside", "membrane_norm": False, "bidirectional": False,
                 "history": 0}
        for key, value in alone.items() if resets else ():
            _require(getattr(self, key) == value, f"model.{key}", getattr(self, key),
                     f"{value!r} with reset = \"{self.reset}\"")

    @property
    def resets(self) -> bool:
        """Whether a spike acts back on the state, so that steps must follow one another."""
        return self.cells == "lif" or self.reset != "none"

    @property
    def each_step(self) -> bool:
        """Whether each step has an answer, or the sample as a whole."""
        return self.per_step or OUTPUTS[self.output].each_step

    @property
    def complex_modes(self) -> bool:
        """Whether a mode rotates: S4D-Real has real modes, the other initialisations complex."""
        return self.mode_init != "s4d-real"


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained: AdamW, linear warm-up, cosine decay, gradient clipping.

    ``precision``: ``bf16`` keeps parameters, modes and norms in float32 and multiplies matrices in
    bfloat16. ``rate_penalty`` times the mean over layers of ``max(0, spike rate - rate_target)^2``
    is added to the loss. ``class_weights``: what the loss of a sample of each class is multiplied
    by, or of each label or value; empty: 1 for all. ``select``: the model is that of the ``last``
    epoch, or of the best one on the samples that validate (``valid``). ``value_loss``: of values,
    the error's square (``mse``), or linear beyond ``huber_delta`` (``huber``). ``sparsity``: the
    share of each mixing matrix that is pruned to 0 over the first half of training, in which
    learned delays settle, too. ``gradient_noise``: the standard deviation, at the first step, of
    what is added to gradients. ``prefixes``: P, how many beginnings of a sample are to be answered
    rightly, too, the first j / P of it; 0: none. Of cells with a reset and of recurrent layers,
    ``through_time = false`` lets no gradient go from a step to the one before, and
    ``gradient_steps`` gives one to so many steps of a batch, drawn at random (0: all): SLTT and
    SLTT-K.
    """

    epochs: int = 20
    batch_size: int = 64
    rate: float = 1e-2
    mode_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    seed: int = 0
    precision: str = "float32"
    rate_penalty: float = 0.0
    rate_target: float = 0.0
    class_weights: tuple[float, ...] = ()
    sparsity: float = 0.0
    gradient_noise: float = 0.0
    through_time: bool = True
    gradient_steps: int = 0
    prefixes: int = 0
    select: str = "last"
    value_loss: str = "mse"
    huber_delta: float = 1.0

    def __post_init__(self) -> None:
        _require(self.epochs > 0, "training.epochs", self.epochs, "a positive integer")
        _require(self.batch_size > 0, "training.batch_size", self.batch_size, "a positive integer")
        _require(0 < self.clip < math.inf, "training.clip", self.clip, "a positive number")
        for key in ("rate", "mode_rate"):
            value = getattr(self, key)
            _require(0 < value <= _FASTEST, f"training.{key}", value,
                     f"a positive number up to {_FASTEST:g}")
        _require(0 <= self.weight_decay <= _FASTEST, "training.weight_decay", self.weight_decay,
                 f"0 to {_FASTEST:g}")
        _require(0 <= self.warmup < 1, "training.warmup", self.warmup, "a fraction below 1")
        _require(0 <= self.seed < _SEEDS, "training.seed", self.seed, f"0 to {_SEEDS - 1}")
        _one_of("training.precision", self.precision, PRECISIONS)
        _require(0 <= self.rate_penalty < math.inf, "training.rate_penalty", self.rate_penalty,
                 "0 or a positive number")
        _require(0 <= self.rate_target < 1, "training.rate_target", self.rate_target,
                 "a spike rate, 0 <= rate < 1")
        for i, weight in enumerate(self.class_weights):
            _require(0 < weight <= _FASTEST, f"training.class_weights[{i}]", weight,
                     f"a positive number up to {_FASTEST:g}")
        _require(0 <= self.sparsity < 1, "training.sparsity", self.sparsity,
                 "a share of zeros, 0 <= share < 1")
        _require(0 <= self.gradient_noise <= _FASTEST, "training.gradient_noise",
                 self.gradient_noise, f"0 to {_FASTEST:g}")
        _require(self.prefixes >= 0 and self.prefixes != 1, "training.prefixes", self.prefixes,
                 "0 (none), or 2 and more")
        _require(self.gradient_steps >= 0, "training.gradient_steps", self.gradient_steps,
                 "0 (all) or a positive number of steps")
        _one_of("training.select", self.select, SELECTIONS)
        _one_of("training.value_loss", self.value_loss, LOSSES)
        _require(0 < self.huber_delta <= _FASTEST, "training.huber_delta", self.huber_delta,
                 f"a positive number up to {_FASTEST:g}")


@dataclass(frozen=True)
class Config:
    """The three tables of a configuration file."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        count = len(self.training.class_weights)
        _require(count in (0, self.model.classes), "training.class_weights", f"{count} weights",
                 f"none, or one for each of model.classes = {self.model.classes}")
        names = len(self.task.classes)
        _require(names in (0, self.model.classes), "task.classes", f"{names} names",
                 f"none, or one for each of model.classes = {self.model.classes}")
        model = self.model
        early = model.each_step or model.pair or model.bidirectional
        early = early or model.architecture == "transformer"
        _require(not (early and self.training.prefixes), "training.prefixes",
                 self.training.prefixes, "0 with a model that answers at each step, of pairs, or "
                 "that sees a sample at once")
        if not self.model.resets and not self.model.recurrent:
            whole = "with cells that have no reset, and recurrent = false"
            _require(self.training.through_time, "training.through_time", False, f"true {whole}")
            _require(not self.training.gradient_steps, "training.gradient_steps",
                     self.training.gradient_steps, f"0 {whole}")


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """``value`` as the type a field declares; TOML's integers are accepted where floats are."""
    if dataclasses.is_dataclass(hint):
        _require(isinstance(value, dict), where, value, "a table")
        return from_dict(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        _require(isinstance(value, list | tuple), where, value, "an array")
        return tuple(_coerce(v, item, f"{where}[{i}]") for i, v in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        _require(abs(value) < 2**64, where, "an integer of many digits", "a number")
        return float(value)
    ok = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    _require(ok, where, value, f"a value of type {hint.__name__}")
    return value


def neighbours(key: str, known: Iterable[str]) -> str:
    """The keys that a wrong one may have been meant for."""
    near = difflib.get_close_matches(key, list(known), 3)
    return f"did you mean {' or '.join(near)}? " if near else ""


def from_dict(cls: type[T], table: dict[str, Any], where: str = "") -> T:
    """A configuration dataclass from a table of TOML; unknown keys are refused."""
    hints = typing.get_type_hints(cls)
    prefix = f"{where}." if where else ""
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise ConfigError(
            f"unknown configuration key {prefix}{unknown[0]}; {neighbours(unknown[0], hints)}"
            f"known: {', '.join(sorted(hints))}."
        )
    return cls(**{k: _coerce(v, hints[k], prefix + k) for k, v in table.items()})


def to_dict(config: Any) -> Any:
    """The table of a configuration dataclass; tuples become arrays."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return list(config) if isinstance(config, tuple) else config


def loads(text: str, source: str = "configuration") -> Config:
    """A :class:`Config` from TOML text; raises :class:`ConfigError` naming ``source``.

    A checkpoint's own ``config.toml`` is one: its ``[checkpoint]`` table is left out.
    """
    try:
        table = parse_toml(text)
        table.pop("checkpoint", None)
    except ValueError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}. Correct the file.") from error
    try:
        return from_dict(Config, table)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def load(path: Path) -> Config:
    """A :class:`Config` from a TOML file."""
    try:
        text = read_regular(Path(path), LARGEST_TEXT).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}.") from error
    return loads(text, str(path))


def dumps(config: Config) -> str:
    """TOML text of a configuration; :func:`loads` returns the same configuration."""
    return tomli_w.dumps(to_dict(config))
