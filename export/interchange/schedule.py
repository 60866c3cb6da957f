"""The latencies of populations whose connections may have lags and go in circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from export.interchange.errors import InterchangeError
from export.interchange.signals import Tap


def latencies(source: str, taps: Mapping[str, Sequence[Tap]]) -> dict[str, int]:
    """The least latencies with which every delay is at least one step::

        latency(target) + lag >= latency(source) + 1,   0 of the input

    ``taps``: what arrives at each population. Raises :class:`InterchangeError` for a circle of more
    connections than steps of lag, which no simulator can run in time.
    """
    found = dict.fromkeys(taps, 1)
    for _ in range(len(taps) + 1):
        late = [
            (target, found.get(tap.source, 0) + 1 - tap.lag)
            for target, arriving in taps.items()
            for tap in arriving
            if found.get(tap.source, 0) + 1 - tap.lag > found[target]
        ]
        for target, least in late:
            found[target] = max(found[target], least)
        if not late:
            return {source: 0, **found}
    names = ", ".join(repr(target) for target, _ in late[:4])
    raise InterchangeError(
        f"populations {names} send to each other in a circle that takes fewer steps than it has "
        "connections, of which each takes one; expected a Delay of as many steps in it. Add one."
    )
