"""SpiNNaker's arithmetic once more, one neuron and one tick at a time, in plain Python integers.

Written from the measured formulas alone; it shares no code with pynn_models.spinnaker.
"""

from decimal import Decimal, getcontext

getcontext().prec = 60


def signed(n):
    n %= 2**32
    return n - 2**32 if n >= 2**31 else n


def fixed(x):
    return round(Decimal(str(x)) * 32768)


def exponential(n):
    """e^(n/32768) with 32 fractional bits."""

    def high(z):
        return round(Decimal(z).exp() * 2**32)

    def times(t, b):
        p = (t % 2**32) * b
        return p // 2**32 + (p // 2**31) % 2 + (t // 2**32) * b

    z, fraction = divmod(n, 32768)
    if fraction == 0:
        return high(z)
    g = 32768 - fraction
    t = high(z + 1)
    t -= times(t, round((1 - (Decimal(-(g // 2048)) / 16).exp()) * 2**32))
    y = (g % 2048) * 2**17
    t -= times(t, (5294 + (4293434720 - 2081624032 * y // 2**32) * y // 2**32) % 2**32)
    return t


def decay_k(n):
    return 0 if n < -340695 else exponential(n) // 2**17


def decay_ulr(n):
    return 0 if n < -340695 else exponential(n) % 2**32


class StockNeuron:
    """One IF_curr_exp cell; p: its parameters by PyNN's names; dt in ms; shifts of both types."""

    def __init__(self, p, dt, shifts, v=None):
        ts = fixed(dt)
        quotient = {
            name: (ts << 15) // fixed(p[name]) for name in ("tau_m", "tau_syn_E", "tau_syn_I")
        }
        self.r = (fixed(p["tau_m"]) << 15) // fixed(p["cm"])
        self.tc = decay_k(-quotient["tau_m"])
        self.tref = -(-((fixed(p["tau_refrac"]) << 15) // ts) // 32768)
        self.dec = [decay_ulr(-quotient[name]) for name in ("tau_syn_E", "tau_syn_I")]
        self.init = [
            (((fixed(p[name]) << 15) // ts) * (0xFFFFFFFF - dec) >> 15) % 2**32
            for name, dec in zip(("tau_syn_E", "tau_syn_I"), self.dec, strict=True)
        ]
        self.rest, self.reset = fixed(p["v_rest"]), fixed(p["v_reset"])
        self.thresh, self.offset = fixed(p["v_thresh"]), fixed(p["i_offset"])
        self.shifts = shifts
        self.v = self.rest if v is None else v
        self.current = [0, 0]
        self.refractory = 0

    def tick(self, buffers, injected=0):
        """buffers: what the two ring-buffer slots hold -> (spike, V as recorded)."""
        for i in (0, 1):
            arriving = (buffers[i] << self.shifts[i]) * self.init[i] >> 32
            self.current[i] = signed(self.current[i] + arriving)
        recorded = self.v
        if self.refractory <= 0:
            drive = signed(self.current[0] - self.current[1] + self.offset + injected)
            alpha = signed(signed(drive * self.r >> 15) + self.rest)
            self.v = signed(alpha - signed(self.tc * signed(alpha - self.v) >> 15))
        else:
            self.refractory -= 1
        spike = self.v >= self.thresh
        if spike:
            self.v, self.refractory = self.reset, self.tref
        self.current = [i * dec >> 32 for i, dec in zip(self.current, self.dec, strict=True)]
        return spike, recorded


class NativeNeuron:
    """One state-space cell from its integers: modes (a_re, a_im, c_re, c_im) and d, theta, bias.

    ``reset``: "soft", with r (re, im) a mode, or "hard", or "", with ``refractory`` steps; ``a``:
    of a history. The modes' ``x`` is what the next step starts from; ``rest`` and ``before``, the
    newest first: what it remembers besides.
    """

    def __init__(
        self, modes, d, theta, bias, x=None, reset="", r=(), refractory=0, a=(), rest=0, before=(),
    ):  # fmt: skip
        self.modes, self.d, self.theta, self.bias = modes, d, theta, bias
        self.x = list(x) if x else [(0, 0)] * len(modes)
        self.reset, self.r, self.refractory, self.a = reset, list(r), refractory, list(a)
        self.rest, self.before = rest, list(before) or [False] * len(self.a)
        self.wrapped = False

    def narrow(self, n):
        self.wrapped |= not -(2**31) <= n < 2**31
        return signed(n)

    def tick(self, u, tick, first_step=0, period=0):
        """-> (spike, Y)."""
        k = tick - first_step
        self.wrapped = False
        if k < 0:
            return False, 0
        if period and k % period == 0:
            self.x = [(0, 0)] * len(self.modes)
            self.rest, self.before = 0, [False] * len(self.a)
        u = self.narrow(u + self.bias)
        total = self.d * u
        for n, (a_re, a_im, c_re, c_im) in enumerate(self.modes):
            re, im = self.x[n]
            new_re = self.narrow((a_re * re - a_im * im + (u << c_re % 32) + 2**30) // 2**31)
            new_im = self.narrow((a_re * im + a_im * re + 2**30) // 2**31)
            if self.reset == "hard" and self.rest:
                new_re = new_im = 0
            self.x[n] = (new_re, new_im)
            total += c_re * new_re - c_im * new_im
        y = (total + 2**31) // 2**32
        assert -(2**31) <= y < 2**31
        raised = sum(a for a, above in zip(self.a, self.before, strict=True) if above)
        spike = y > self.theta + raised and self.rest == 0
        self.before = [y > self.theta, *self.before][: len(self.a)]
        if self.reset:
            self.rest = self.refractory if spike else max(self.rest - 1, 0)
        if spike and self.reset == "hard":
            self.x = [(0, 0)] * len(self.modes)
        if spike and self.reset == "soft":
            self.x = [
                (self.narrow(re - r_re), self.narrow(im - r_im))
                for (re, im), (r_re, r_im) in zip(self.x, self.r, strict=True)
            ]
        return spike, y


def native_neuron(p, h, state=None, b=0):
    """Neuron h of a native cell's parameters, in the state of sample b; at rest if none is given.
    """
    rotates = p.a_im is not None
    rows = (p.a_re, p.a_im if rotates else 0 * p.a_re, p.c_re, p.c_im if rotates else 0 * p.c_re)
    modes = list(zip(*(row[h].tolist() for row in rows), strict=True))
    parts, x = {}, None
    if p.reset is not None:
        soft = p.reset.r_re is not None
        parts = {"reset": "soft" if soft else "hard", "refractory": p.reset.refractory}
        if soft:
            r_im = p.reset.r_im if rotates else 0 * p.reset.r_re
            parts["r"] = zip(p.reset.r_re[h].tolist(), r_im[h].tolist(), strict=True)
    if p.history is not None:
        parts["a"] = p.history[h].tolist()
    if state is not None:
        x = zip(state.x_re[b, h].tolist(), state.x_im[b, h].tolist(), strict=True)
        if p.reset is not None:
            parts["rest"] = int(state.rest[b, h])
        if p.history is not None:
            bits = int(state.before[b, h])
            parts["before"] = [bits >> j & 1 == 1 for j in range(p.history.shape[1])]
    return NativeNeuron(modes, *(int(v[h]) for v in (p.d, p.theta, p.bias)), x, **parts)


class Slots:
    """A layer's ring buffers of one receptor type: saturating 16-bit sums, added one by one."""

    def __init__(self, size, steps):
        self.rows = [[0] * size for _ in range(steps)]

    def add(self, tick, weights):
        if tick < len(self.rows):
            row = self.rows[tick]
            for j, w in enumerate(weights):
                row[j] = min(65535, row[j] + w)


class DeltaNeuron:
    """One IF_curr_delta cell; p: its parameters by PyNN's names; dt in ms; shifts of both types."""

    def __init__(self, p, dt, shifts):
        ts = fixed(dt)
        self.r = (fixed(p["tau_m"]) << 15) // fixed(p["cm"])
        self.tc = decay_k(-((ts << 15) // fixed(p["tau_m"])))
        self.tref = -(-((fixed(p["tau_refrac"]) << 15) // ts) // 32768)
        self.rate = (32768 << 15) // ts
        self.rest, self.reset = fixed(p["v_rest"]), fixed(p["v_reset"])
        self.thresh, self.offset = fixed(p["v_thresh"]), fixed(p["i_offset"])
        self.shifts, self.v, self.refractory = shifts, self.rest, 0

    def tick(self, buffers):
        """buffers: what the two ring-buffer slots hold -> (spike, V as recorded)."""
        plus, minus = (
            signed((b << r) * self.rate >> 15) for b, r in zip(buffers, self.shifts, strict=True)
        )
        recorded = self.v
        if self.refractory <= 0:
            drive = signed(plus - minus + self.offset)
            alpha = signed(signed(drive * self.r >> 15) + self.rest)
            self.v = signed(alpha - signed(self.tc * signed(alpha - self.v) >> 15))
        else:
            self.refractory -= 1
        spike = self.v >= self.thresh
        if spike:
            self.v, self.refractory = self.reset, self.tref
        return spike, recorded
