"""PyNN on SpiNNaker with event-based gated units: gated neurons whose events carry their membrane.

Their program is that of gated neurons (:mod:`export.pynn.spinnaker_gated`). A unit's packet is its
event, with the membrane as payload; a slot that no packet filled is 0.
"""

from __future__ import annotations

from export.pynn.spinnaker_gated import SpinnakerGated


class SpinnakerEgru(SpinnakerGated):
    """Event-based gated units and their readout: a binary that the user builds; see
    ``docs/how-to/spinnaker.md``.

    A run has one sample, since values that are late would reach the next.
    """

    cells = "egru"
    arithmetic = "egru"
