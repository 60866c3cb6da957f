"""A user's own data: arrays, tables, sound, events; what they hold decides the configuration.

In come files of formats that others write, each read by one module; out come
:class:`snn_ssm.tasks.base.Samples`, and for training a configuration that fits them.
"""

from snn_ssm.tasks.own.derive import DERIVED, OWN, derived
from snn_ssm.tasks.own.events import save_events
from snn_ssm.tasks.own.folders import load, read_inputs, read_recordings, read_samples, splits

__all__ = [
    "DERIVED",
    "OWN",
    "derived",
    "load",
    "read_inputs",
    "read_recordings",
    "read_samples",
    "save_events",
    "splits",
]
