"""Real values as integers of a few bits: which units suit samples, and what is lost in them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.encodings.quantised import ends, quantise, units, values_of
from export.description.network import Network
from export.description.parts import LARGEST_FRACTION, NetworkError, Source

KEY = "quantiser"  # of a network's origin: what was lost of the samples that it was made for
BITS = 12  # a channel, unless asked otherwise
_AT_ONCE = 2**22  # values


@dataclass(frozen=True)
class Quantiser:
    """``x ~ q 2^-f``, q a signed integer of ``bits`` bits, f a channel's own of ``fraction``."""

    bits: int
    fraction: tuple[int, ...]

    def source(self, name: str) -> Source:
        """The input that is so quantised."""
        return Source(name, "quantised", len(self.fraction), self.bits, fraction=self.fraction)


def quantiser_for(samples: NDArray[Any], bits: int = BITS) -> Quantiser:
    """The finest units, a power of two a channel, in which no value of the samples is cut off.

    ``samples`` (B, C, L), finite. A channel of nothing but 0 has the coarsest units of the others.
    Raises :class:`NetworkError` for samples that have no range, or none that units can have, and
    for less than 2 bits or more than 16.
    """
    if not 2 <= bits <= 16:
        raise NetworkError(
            f"real values in {bits} bits; expected 2 to 16, one of them for the sign. Give --bits "
            "from there."
        )
    if not np.isfinite(samples).all():
        raise NetworkError(
            "the samples to quantise for are not all finite; expected numbers. Correct them."
        )
    least, most = (
        extreme(samples, axis=(0, 2), initial=0).astype(np.float64) for extreme in (np.min, np.max)
    )
    if not (least.any() or most.any()):
        raise NetworkError(
            "the samples hold nothing but 0, from which no range follows; expected the training "
            "samples. Give those as --data."
        )
    largest = np.maximum(-least, most)
    fraction = bits - np.frexp(largest)[1]  # the largest value is 2^(bits - 1) units or more
    low, high = ends(bits)
    for _ in range(2):
        scaled = np.rint(np.ldexp([least, most], fraction))
        fraction = fraction - ((scaled[0] < low) | (scaled[1] > high))
    fraction = np.where(largest > 0, fraction, fraction[largest > 0].min())
    if np.abs(fraction).max() > LARGEST_FRACTION:
        raise NetworkError(
            f"the samples reach {largest.max():.3g}, and in one channel {largest.min():.3g}; "
            f"expected values that {bits} bits in units of 2^-{LARGEST_FRACTION} to "
            f"2^{LARGEST_FRACTION} can be. Scale the samples, and train on them."
        )
    return Quantiser(bits, tuple(int(f) for f in fraction))


@dataclass(frozen=True)
class Lost:
    """What became of samples: how many there are, and, a channel each, the root mean square and
    the largest size of their values, of what rounding and cutting changed, and how many values
    were beyond the range and were cut off."""

    samples: int
    values: int
    rms: tuple[float, ...]
    largest: tuple[float, ...]
    rms_error: tuple[float, ...]
    largest_error: tuple[float, ...]
    cut_off: tuple[int, ...]

    def entry(self) -> dict[str, Any]:
        """As JSON has it."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> Lost:
        """The other way; raises ``TypeError`` for another entry."""
        each = {k: tuple(v) for k, v in entry.items() if isinstance(v, list)}
        return cls(entry["samples"], entry["values"], **each)

    def plus(self, other: Lost) -> Lost:
        """Of these samples and of others, of as many channels."""
        of = np.array([self.values, other.values]) / (self.values + other.values)

        def mean(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(map(float, np.sqrt(of @ np.square([a, b]))))

        return Lost(
            self.samples + other.samples,
            self.values + other.values,
            mean(self.rms, other.rms),
            tuple(map(max, self.largest, other.largest)),
            mean(self.rms_error, other.rms_error),
            tuple(map(max, self.largest_error, other.largest_error)),
            tuple(map(operator.add, self.cut_off, other.cut_off)),
        )

    def words(self) -> str:
        """Of the channel that lost most of its signal."""
        rms, error = np.array(self.rms), np.array(self.rms_error)
        share = np.divide(error, rms, out=np.zeros_like(rms), where=rms > 0)
        worst = int(share.argmax())
        channel = f"channel {worst} of {len(rms)}, the worst: " if len(rms) > 1 else ""
        return (
            f"of {self.samples:,} samples, {channel}off by {self.largest_error[worst]:.3g} at "
            f"most, by {error[worst]:.3g} in the mean (rms), {share[worst]:.3%} of the signal's "
            f"{rms[worst]:.3g}; {sum(self.cut_off):,} of {self.values:,} values cut off"
        )


def lost(source: Source, samples: NDArray[Any]) -> Lost:
    """What a quantised ``source`` changes in samples (B, C, L), finite and at least one."""
    low, high = ends(source.bits)
    each = max(_AT_ONCE // samples[0].size, 1)
    squares, errors = np.zeros(source.channels), np.zeros(source.channels)
    largest, furthest = np.zeros(source.channels), np.zeros(source.channels)
    cut = np.zeros(source.channels, np.int64)
    unit = units(source)
    for start in range(0, len(samples), each):
        part = samples[start : start + each].astype(np.float64)
        off = np.abs(values_of(source, quantise(source, part)) - part)
        squares += np.square(part).sum((0, 2))
        errors += np.square(off).sum((0, 2))
        largest = np.maximum(largest, np.abs(part).max((0, 2)))
        furthest = np.maximum(furthest, off.max((0, 2)))
        beyond = (np.rint(part / unit) < low) | (np.rint(part / unit) > high)
        cut += beyond.sum((0, 2))
    count = len(samples) * samples.shape[2]
    return Lost(
        samples=len(samples),
        values=samples.size,
        rms=_numbers(np.sqrt(squares / count)),
        largest=_numbers(largest),
        rms_error=_numbers(np.sqrt(errors / count)),
        largest_error=_numbers(furthest),
        cut_off=tuple(map(int, cut)),
    )


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(map(float, values))


def with_lost(network: Network, samples: NDArray[Any]) -> Network:
    """The network, whose origin says what its quantised input changes in samples (B, C, L)."""
    found = lost(network.source, samples).entry()
    return replace(network, origin={**network.origin, KEY: found})
