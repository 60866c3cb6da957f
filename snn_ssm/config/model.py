"""The table ``[model]``: the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from snn_ssm.config.checks import LARGEST, LONGEST, one_of, require
from snn_ssm.kinds import CELLS, MIXINGS, OUTPUTS

ARCHITECTURES = ("state-space", "transformer")
MODE_INITS = ("s4d-lin", "s4d-inv", "s4d-legs", "s4d-real", "legt")
DISCRETISATIONS = ("zoh", "bilinear")
ENCODERS = ("linear", "embedding")
NORMS = ("batch", "layer", "none")
SPIKES = ("heaviside", "integer", "ternary", "ternary-constant", "bernoulli")
SPIKING = ("heaviside", "integer", "bernoulli", "ternary-constant")  # bernoulli: y > 0 when tested
ACTIVATIONS = (*SPIKES, "sigmoid", "tanh", "hard-sigmoid", "relu", "gelu", "identity")
SURROGATES = ("fast-sigmoid", "arctan", "triangle", "multi-gaussian")
POOLINGS = ("mean", "last", "filter")
DELAYS_PER = ("synapse", "axon")
RESETS = ("none", "soft", "hard", "soma")
MESSAGES = ("counts", "differences")
_LONGEST_DELAY = 1000  # steps: each is a tap of a convolution
_LONGEST_REST = 2**20  # steps, as _LONGEST_HISTORY: what a cell of pynn_models can have
_LONGEST_HISTORY = 32
_MOST_LEGT = 8  # modes: of larger orders the poles are too close for float64
_MOST_LEVELS = 255  # of integer spikes: what fits a byte


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
    ``lif``: leaky integrate-and-fire neurons with a learned decay and reset to zero;
    ``egru``: event-based gated recurrent units, which hear their own layer, and whose spikes carry
    their state.
    ``activation``: ``heaviside``, ``integer`` (up to ``spike_levels`` spikes a step), ``ternary``
    (threshold 0.15 of the step's largest magnitude), ``ternary-constant`` (a learned threshold a
    channel), ``bernoulli``, or no spike.
    ``messages``: what is sent of integer spikes: how many they are (``counts``), or by how many
    more than in the step before (``differences``), to who adds them up: the same network, since
    sums of differences are the counts. The spikes that are counted and penalised are those sent.
    ``membrane_norm``: a batch norm on the membrane, besides that of the input.
    ``reset``: what a spike does to a native cell's modes: ``soft`` takes a learned r from each,
    ``soma`` one from the last mode alone, which is real, ``hard`` sets them to 0, and no spike
    comes for ``refractory`` steps after one. The threshold is learned, too. ``history``: for how
    many steps a membrane above the threshold moves it, by a learned number each.
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
    messages: str = "counts"
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
            require(0 < value <= LARGEST, f"model.{key}", value, f"1 to {LARGEST}")
        one_of("model.architecture", self.architecture, ARCHITECTURES)
        one_of("model.encoder", self.encoder, ENCODERS)
        one_of("model.cells", self.cells, CELLS)
        one_of("model.mode_init", self.mode_init, MODE_INITS)
        require(self.mode_init != "legt" or self.modes <= _MOST_LEGT, "model.modes", self.modes,
                 f"1 to {_MOST_LEGT} with mode_init = \"legt\"")
        one_of("model.discretisation", self.discretisation, DISCRETISATIONS)
        one_of("model.activation", self.activation, ACTIVATIONS)
        one_of("model.surrogate", self.surrogate, SURROGATES)
        one_of("model.mixing", self.mixing, MIXINGS)
        one_of("model.norm", self.norm, NORMS)
        one_of("model.gsu_norm", self.gsu_norm, NORMS)
        require(self.gsu_weights in (1, 2), "model.gsu_weights", self.gsu_weights, "1 or 2")
        one_of("model.output", self.output, OUTPUTS)
        one_of("model.pooling", self.pooling, POOLINGS)
        require(0 < self.pooling_tau <= LONGEST, "model.pooling_tau", self.pooling_tau,
                 f"a positive number of steps, up to {LONGEST}")
        require(0 <= self.input_bits <= 16, "model.input_bits", self.input_bits, "0 to 16 bits")
        require(
            math.isfinite(self.input_scale) and self.input_scale != 0,
            "model.input_scale", self.input_scale, "a finite number other than 0",
        )
        require(0 < self.dt_min <= self.dt_max < math.inf, "model.dt_min, dt_max",
                 (self.dt_min, self.dt_max), "0 < dt_min <= dt_max")
        require(0 < self.surrogate_slope < math.inf, "model.surrogate_slope",
                 self.surrogate_slope, "a positive slope")
        require(1 <= self.spike_levels <= _MOST_LEVELS, "model.spike_levels", self.spike_levels,
                 f"1 to {_MOST_LEVELS}")
        one_of("model.messages", self.messages, MESSAGES)
        if self.messages == "differences":
            require(self.activation == "integer", "model.activation", self.activation,
                     "'integer' with messages = \"differences\"")
        one_of("model.reset", self.reset, RESETS)
        require(0 <= self.refractory <= _LONGEST_REST, "model.refractory", self.refractory,
                 f"0 to {_LONGEST_REST} steps")
        require(0 <= self.history <= _LONGEST_HISTORY, "model.history", self.history,
                 f"0 to {_LONGEST_HISTORY} steps")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 <= dropout < 1")
        require(self.n_ssm >= 0 and self.channels % max(self.n_ssm, 1) == 0, "model.n_ssm",
                 self.n_ssm, f"0, or a divisor of model.channels = {self.channels}")
        require(self.weight_bits == 0 or 2 <= self.weight_bits <= 16, "model.weight_bits",
                 self.weight_bits, "0, or 2 to 16 bits")
        one_of("model.delay_per", self.delay_per, DELAYS_PER)
        for key in ("delays", "recurrent_delays"):
            value = getattr(self, key)
            require(0 <= value <= _LONGEST_DELAY, f"model.{key}", value,
                     f"0 to {_LONGEST_DELAY} steps")
        self._check_combinations()
        self._check_wiring()

    def _check_wiring(self) -> None:
        """Loops and delays need steps that follow each other, and one matrix to delay."""
        with_loop = "with recurrent = true"
        if self.recurrent:
            one_of("model.architecture", self.architecture, ["state-space"])
            require(not self.bidirectional, "model.bidirectional", True, f"false {with_loop}")
            require(not self.membrane_norm, "model.membrane_norm", True, f"false {with_loop}")
            require(self.cells != "stock", "model.cells", self.cells,
                     f"'native' or 'lif' {with_loop}")
        else:
            require(self.recurrent_delays == 0, "model.recurrent_delays", self.recurrent_delays,
                     "0 with recurrent = false")
        if self.delays:
            one_of("model.architecture", self.architecture, ["state-space"])
            require(self.mixing == "linear", "model.mixing", self.mixing,
                     "'linear' with delays > 0")

    def _check_combinations(self) -> None:
        fixed: Mapping[str, object] = {}
        if self.architecture == "transformer":
            require(self.channels % self.heads == 0, "model.heads", self.heads,
                     f"a divisor of model.channels = {self.channels}")
        else:
            fixed = CELLS[self.cells].fixed
        for key, value in fixed.items():
            require(getattr(self, key) == value, f"model.{key}", getattr(self, key),
                     f"{value!r} with cells = \"{self.cells}\"")
        if self.per_step:
            real = [kind.name for kind in OUTPUTS.values() if kind.real]
            require(self.output in real, "model.per_step", True,
                     f"false, or model.output one of {', '.join(real)}")
        if self.pair:
            require(not self.each_step, "model.pair", True,
                     "false where each step is answered: a pair has one answer")
            require(self.pooling != "filter", "model.pooling", self.pooling,
                     "'mean' or 'last' with pair = true")
        self._check_feedback()
        needed = MIXINGS[self.mixing].activations
        if needed:
            require(self.activation in needed, "model.activation", self.activation,
                     f"{' or '.join(map(repr, needed))} with mixing = \"{self.mixing}\"")
        if self.quantise_decays:
            require(self.discretisation == "zoh", "model.discretisation", self.discretisation,
                     "'zoh' with quantise_decays = true")

    def _check_feedback(self) -> None:
        """What a reset or a threshold history goes with."""
        resets = self.reset != "none"
        require(resets or self.refractory == 0, "model.refractory", self.refractory,
                 "0 with reset = \"none\"")
        if self.reset == "soma":
            require(self.complex_modes, "model.mode_init", self.mode_init,
                     "one of complex modes with reset = \"soma\"")
            require(self.modes > 1, "model.modes", self.modes,
                     "2 or more with reset = \"soma\": the last one is the soma")
        if self.history:
            require(self.activation == "heaviside", "model.activation", self.activation,
                     "'heaviside' with a history")
        alone = {"activation": "heaviside", "membrane_norm": False, "bidirectional": False}
        for key, value in alone.items() if resets else ():
            require(getattr(self, key) == value, f"model.{key}", getattr(self, key),
                     f"{value!r} with reset = \"{self.reset}\"")

    @property
    def resets(self) -> bool:
        """Whether a spike acts back on the state, so that steps must follow one another."""
        return self.cells in ("lif", "egru") or self.reset != "none"

    @property
    def sends_values(self) -> bool:
        """Whether a spike carries a number, its membrane."""
        return self.architecture == "state-space" and CELLS[self.cells].values

    @property
    def each_step(self) -> bool:
        """Whether each step has an answer, or the sample as a whole."""
        return self.per_step or OUTPUTS[self.output].each_step

    @property
    def complex_modes(self) -> bool:
        """Whether a mode rotates: S4D-Real has real modes, the other initialisations complex."""
        return self.mode_init != "s4d-real"
