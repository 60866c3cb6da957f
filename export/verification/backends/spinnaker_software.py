"""The backend ``spinnaker-software``: SpiNNaker's arithmetic, in this process."""

from __future__ import annotations

from export.description.network import Network
from export.verification.backends.kind import Options, RunBackend
from export.verification.contract import Runner


def _runner(network: Network, options: Options) -> Runner:
    from export.fixed_point import simulation

    return simulation.runner(network, options.calibration)


SPINNAKER_SOFTWARE = RunBackend("spinnaker-software", _runner, frozenset({"calibration"}))
