"""A checkpoint in extended precision: its own reading of the arrays, in np.longdouble.

Nothing is folded and nothing rounded to a grid: norms, mixings and modes are computed as the
documentation of a checkpoint states them (snn_ssm/checkpoint.py), step by step, with some 64 bits
of mantissa. It shares no code with training, lowering, ``software`` or NEST; only where a neuron
spikes, above the level of the contract, is given to it, and it tells how many membranes lay no
further from the threshold than that: elsewhere the threshold itself would decide alike.
"""

from typing import NamedTuple

import numpy as np

REAL, COMPLEX = np.longdouble, np.clongdouble
TWO_OVER_ROOT_PI = 2 / np.sqrt(REAL(4) * np.arctan(REAL(1)))


class Result(NamedTuple):
    """Spikes by population name, (B, L, H); ties: membranes as near to theta as its level."""

    spikes: dict
    ties: int
    closest: float  # of all membranes to their level, relative to the layer's largest


def erf(z):
    """``2/sqrt(pi) exp(-z^2) sum_n 2^n z^(2n+1) / (2n+1)!!``; beyond 7 the sign."""
    inside = np.clip(z, -7, 7)
    term = inside.copy()
    total = term.copy()
    for n in range(1, 200):
        term = term * (2 * inside * inside / (2 * n + 1))
        total = total + term
    return np.where(np.abs(z) < 7, TWO_OVER_ROOT_PI * np.exp(-inside * inside) * total, np.sign(z))


def gelu(z):
    return z / 2 * (1 + erf(z / np.sqrt(REAL(2))))


class Model:
    """The arrays of a checkpoint, and what each layer does at a step."""

    def __init__(self, checkpoint):
        self.model = checkpoint.config.model
        self.arrays = checkpoint.arrays

    def get(self, name):
        return np.asarray(self.arrays[name], dtype=REAL)

    def has(self, name):
        return name in self.arrays

    def norm(self, prefix, x):
        """Of x (B, H), where the checkpoint has such a norm."""
        if not self.has(f"{prefix}.weight"):
            return x
        mean, var = self.get(f"{prefix}.running_mean"), self.get(f"{prefix}.running_var")
        eps = REAL(1e-5)
        return (x - mean) / np.sqrt(var + eps) * self.get(f"{prefix}.weight") + self.get(
            f"{prefix}.bias"
        )

    def encode(self, p):
        """(B, C, L) -> (B, L, H)."""
        weight = self.get("encoder.weight")
        if self.model.encoder == "embedding":
            return weight[p[:, 0].astype(int)]
        h = np.einsum("hc,bcl->blh", weight * REAL(self.model.input_scale), p.astype(REAL))
        return h + self.get("encoder.bias") if self.has("encoder.bias") else h

    def modes(self, i):
        """``abar`` and ``c bbar b`` (times 2 if complex), (H, N), and d."""
        m, ssm = self.model, f"blocks.{i}.ssm"
        if m.cells == "stock":
            n = np.clip(np.rint(np.exp(self.get(f"{ssm}.a")) * 2**15), 66, 2**18)
            return np.exp(-n / 2**15)[:, None], np.ones((len(n), 1), REAL), np.zeros(len(n), REAL)
        sets = np.arange(m.channels) % (m.n_ssm or m.channels)
        lam = -np.exp(self.get(f"{ssm}.a"))[sets]
        b, c = self.get(f"{ssm}.b")[sets], self.get(f"{ssm}.c")[0]
        if m.complex_modes:
            lam = lam + COMPLEX(1j) * self.get(f"{ssm}.omega")[sets]
            b = b[..., 0] + COMPLEX(1j) * b[..., 1]
            c = 2 * (c[..., 0] + COMPLEX(1j) * c[..., 1])
        dt = np.exp(self.get(f"{ssm}.log_dt"))[:, None]
        if m.discretisation == "zoh":
            abar, share = np.exp(lam * dt), np.expm1(lam * dt) / lam
        else:
            abar, share = (1 + lam * dt / 2) / (1 - lam * dt / 2), dt / (1 - lam * dt / 2)
        if m.quantise_decays:
            abar = self.rounded(abar)
        return abar, c * share * b, self.get(f"{ssm}.d")

    def taken(self, i):
        """r, (H, N): what a spike takes from each mode."""
        r = self.get(f"blocks.{i}.ssm.r")
        if self.model.reset == "soma":
            return np.append(np.zeros((len(r), self.model.modes - 1), REAL), r[:, None], 1)
        return r[..., 0] + COMPLEX(1j) * r[..., 1] if self.model.complex_modes else r

    @staticmethod
    def rounded(abar):
        unit = REAL(2) ** 31
        re, im = np.rint(abar.real * unit), np.rint(abar.imag * unit)
        radius = np.sqrt(re * re + im * im)
        factor = np.where(radius > unit - 1, (unit - 1) / np.where(radius > 0, radius, 1), 1)
        re, im = (np.where(factor < 1, np.trunc(v * factor), v) / unit for v in (re, im))
        return re + COMPLEX(1j) * im if np.iscomplexobj(abar) else re

    def delays(self, name, largest):
        """Whole steps (to, from), or of each channel that sends; 0 without any."""
        if not largest:
            return np.zeros((1, 1), int)
        p = np.asarray(self.arrays[f"{name}.delays.position"], np.float64)
        return np.broadcast_to(np.rint(largest / (1 + np.exp(-p))).astype(int),
                               (self.model.channels,) * 2)

    def late(self, weight, delays, past):
        """``sum_j w_hj s_j[k - d_hj]`` of past = [s[k], s[k - 1], ...], (B, H) each."""
        sums = 0
        for d in np.unique(delays):
            if d < len(past):
                sums = sums + past[d].astype(REAL) @ np.where(delays == d, weight, 0).T
        return sums

    def recur(self, i, past):
        """What layer i's own spikes, [s[k - 1], s[k - 2], ...], bring to its input."""
        if not self.model.recurrent:
            return 0
        name = f"blocks.{i}.recurrent"
        delays = self.delays(name, self.model.recurrent_delays)
        return self.late(self.get(f"{name}.weight"), delays, past)

    def weights(self, i):
        """W of the mixing as ``weight_bits`` rounds it: in float64, as a checkpoint states."""
        weight = np.asarray(self.arrays[f"blocks.{i}.mixing.weight"], dtype=np.float64)
        bits, largest = self.model.weight_bits, np.abs(weight).max()
        if bits and largest > 0:
            q = largest / (2 ** (bits - 1) - 1)
            weight = np.rint(weight / q) * q
        return weight.astype(REAL)

    def mix(self, i, y, past):
        """What layer i adds to the stream, (B, H), of its membranes and spikes -1, 0 or 1:
        past = [s[k], s[k - 1], ...]."""
        prefix, m = f"blocks.{i}.mixing", self.model
        o = self.late(self.weights(i), self.delays(prefix, m.delays), past)
        if self.has(f"{prefix}.bias"):
            o = o + self.get(f"{prefix}.bias")
        if m.mixing == "linear":
            return o
        if m.mixing == "glu":
            with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0
                return o[:, : m.channels] / (1 + np.exp(-o[:, m.channels :]))
        gates = self.get(f"{prefix}.gate_weight" if m.gsu_weights == 2 else f"{prefix}.weight")
        t = 0.15 * np.abs(gates).max().astype(np.float64)
        ternary = (gates > t).astype(REAL) - (gates < -t).astype(REAL)
        return gelu(self.norm(f"{prefix}.norm", o * (y @ ternary.T)))


class Layer:
    """The state of one layer; ``theta`` and ``level`` (H,)."""

    def __init__(self, model, i, batch, theta, level):
        self.m, self.i, self.theta, self.level = model, i, theta.astype(REAL), level.astype(REAL)
        self.cells = model.model.cells
        self.most = model.model.spike_levels if model.model.activation == "integer" else 1
        h = model.model.channels
        if self.cells == "egru":
            self.w, self.b, self.own, self.c = (
                model.get(f"blocks.{i}.ssm.{leaf}")
                for leaf in ("weight", "bias", "recurrent_weight", "recurrent_bias")
            )
            self.h = self.out = np.zeros((batch, h), REAL)
        elif self.cells == "lif":
            self.beta = np.exp(-np.exp(model.get(f"blocks.{i}.ssm.a")))
            self.v = np.zeros((batch, h), REAL)
        else:
            self.abar, self.g, self.d = model.modes(i)
            self.x = np.zeros((batch, *self.abar.shape), np.result_type(self.abar, REAL))
        m = model.model
        self.reset, self.refractory = m.reset, m.refractory
        self.r = model.taken(i) if m.reset in ("soft", "soma") else None
        self.a = model.get(f"blocks.{i}.history") if m.history else np.zeros((h, 0), REAL)
        self.s, self.rest = np.zeros((batch, h), int), np.zeros((batch, h), int)
        self.before = [np.zeros((batch, h), bool)] * self.a.shape[1]

    def step(self, u):
        """Membrane (B, H) and spikes: -1, 0 or 1, or 0 to D; of events their values."""
        if self.cells == "egru":
            return self.gated(u)
        if self.cells == "lif":
            y = self.beta * self.v + u
        else:
            took = self.s[..., None]
            if self.r is not None:
                self.x = self.x - self.r * took
            if self.reset == "hard":
                self.x = np.where(took > 0, 0, self.x)
            self.x = self.abar * self.x + u[..., None]
            if self.reset == "hard":
                self.x = np.where(self.rest[..., None] > 0, 0, self.x)
            y = (self.g * self.x).real.sum(-1) + self.d * u
        if self.cells == "stock":
            y = self.m.norm(f"blocks.{self.i}.norm", y)
        y = self.m.norm(f"blocks.{self.i}.membrane_norm", y)
        raised = sum(
            (self.a[:, j] * p for j, p in enumerate(self.before)), np.zeros_like(self.level)
        )
        s = sum((y > self.level + raised + j).astype(int) for j in range(self.most))
        s = np.where(self.rest > 0, 0, s)
        self.rest = np.where(s > 0, self.refractory, np.maximum(self.rest - 1, 0))
        self.before = [y > self.level, *self.before][: len(self.before)]
        self.s = s
        if self.m.model.activation == "ternary-constant":
            s = s - (-y > self.level)
        if self.cells == "lif":
            self.v = np.where(s > 0, 0, y)
        return y, s


    def gated(self, x):
        """Of an event-based gated unit, from its equations."""
        u_z, u_r, u_g = np.split(x @ self.w.T + self.b, 3, axis=1)
        o_z, o_r, o_g = np.split(self.out @ self.own.T, 3, axis=1)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0
            z, r = 1 / (1 + np.exp(-(u_z + o_z))), 1 / (1 + np.exp(-(u_r + o_r)))
        v = z * self.h + (1 - z) * np.tanh(u_g + r * (o_g + self.c))
        self.out = np.where(v > self.level, v, 0)
        self.h = v - np.where(v > self.level, self.level, 0)
        return v, self.out


def simulate(checkpoint, samples, levels):
    """The network on ``samples`` (B, C, L); ``levels``: theta and level, (H,), of each layer."""
    model, m = Model(checkpoint), checkpoint.config.model
    batch, steps = len(samples), samples.shape[-1]
    layers = [Layer(model, i, batch, *levels[i]) for i in range(m.depth)]
    encoded = model.encode(samples)
    ternary = m.activation == "ternary-constant"
    shape = (m.depth, batch, steps, m.channels)
    membranes = np.empty(shape, REAL)
    spikes = np.empty(shape, REAL if m.cells == "egru" else int)
    pre, post = m.prenorm and m.cells != "stock", not m.prenorm and m.cells != "stock"
    for k in range(steps):
        h = encoded[:, k]
        for i, layer in enumerate(layers):
            norm = f"blocks.{i}.norm"
            past = list(spikes[i, :, :k].swapaxes(0, 1)[::-1])
            u = model.norm(norm, h) if pre else h
            y, s = layer.step(u + model.recur(i, past))
            h = h + model.mix(i, y, [s, *past])
            h = model.norm(norm, h) if post else h
            membranes[i, :, k], spikes[i, :, k] = y, s
    found, ties, closest = {}, 0, np.inf
    for i, layer in enumerate(layers):
        found[f"layer{i}"] = np.maximum(spikes[i], 0)
        if m.cells == "egru":
            found[f"layer{i}"] = (spikes[i] > 0).astype(int)
        signs = [1, -1] if ternary else [1]
        if ternary:
            found[f"layer{i}_negative"] = spikes[i] < 0
        for sign in signs:
            y = sign * membranes[i]
            ties += int((np.abs(y - layer.theta) <= layer.level - layer.theta).sum())
            scale = np.maximum(np.abs(y).max((0, 1)), np.abs(layer.theta))
            distance = np.abs(y - layer.level)[:, :, scale > 0] / scale[scale > 0]
            closest = min(closest, float(distance.min())) if distance.size else closest
    return Result(found, ties, closest)
