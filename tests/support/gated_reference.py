"""Gated inputs in SpiNNaker's arithmetic once more, one number at a time, in plain Python integers.

Written from the formulas alone; it shares no code with pynn_models.spinnaker.
"""

import math
from fractions import Fraction


def limit(n):
    return max(-(2**31), min(2**31 - 1, n))


def shifted(n, s):
    return math.floor(Fraction(n, 2**s) + Fraction(1, 2)) if s else n


def sigmoid_entry(i):
    return round(65536 / (1 + math.exp(i / 64)))


def normal_entry(i):
    return round(65536 * math.erfc(i / 128 / math.sqrt(2)) / 2)


def half(entry, bits, x):
    """The interpolated function of an s16.15 number, in units of 2^-16."""
    i, rest = divmod(abs(x), 2**bits)
    left = 0
    if i < 1024:
        left = entry(i) - ((entry(i) - entry(i + 1)) * rest + 2 ** (bits - 1)) // 2**bits
    return left if x < 0 else 65536 - left


def glu(v, g, index, last):
    return limit(shifted(v * half(sigmoid_entry, 9, shifted(g, index)), last))


def gsu(v, g, first, offset, index, gain, last):
    z = limit(limit(shifted(v * g, first)) + offset)
    gelu = shifted(z * half(normal_entry, 8, shifted(z, index)), 16)
    return limit(shifted(gelu * gain, last))


def neuron_input(p, h, arriving, sent):
    """U of neuron h: ``arriving``, an integer a receptor; ``sent``, integers a graded source."""
    totals = [limit(int(arriving[0]) + int(p.bias[h]))]
    b = p.branches
    for k in range(p.n_branches):
        totals.append(limit(int(arriving[1 + 2 * k]) + int(b.value_bias[h, k])))
        totals.append(limit(int(arriving[2 + 2 * k]) + int(b.gate_bias[h, k])))
    for graded, values in zip(p.graded, sent, strict=True):
        total = sum(int(w) * int(y) for w, y in zip(graded.weights[:, h], values, strict=True))
        part = limit(shifted(total, int(graded.shift[h])))
        totals[graded.receptor] = limit(totals[graded.receptor] + part)
    u = totals[0]
    for k in range(p.n_branches):
        v, g = totals[1 + 2 * k], totals[2 + 2 * k]
        first, offset, index, gain, last = (
            int(getattr(b, n)[h, k]) for n in ("first", "offset", "index", "gain", "last")
        )
        if b.kind == "glu":
            u = limit(u + glu(v, g, index, last))
        else:
            u = limit(u + gsu(v, g, first, offset, index, gain, last))
    return u
