"""The PyNN backends: one class a simulator and family of cells, registered here.

None of their modules imports a simulator when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable

from export.pynn.backend import Backend
from export.pynn.nest import NestNative, NestStock
from export.pynn.nest_lif import NestLif
from export.pynn.spinnaker import SpinnakerStock
from export.pynn.spinnaker_native import SpinnakerNative

BACKENDS: list[Callable[[], Backend]] = [
    NestNative,
    NestStock,
    NestLif,
    SpinnakerNative,
    SpinnakerStock,
]
