"""What makes integers or spikes of real values: one file each, registered here."""

from pynn_models.registry import Registry
from snn_ssm.tasks.encoders.cochlea import COCHLEA
from snn_ssm.tasks.encoders.crossings import CROSSINGS
from snn_ssm.tasks.encoders.delta import DELTA
from snn_ssm.tasks.encoders.kind import Encoder
from snn_ssm.tasks.encoders.levels import LEVELS

ENCODERS: Registry[Encoder] = Registry("encoder", LEVELS, CROSSINGS, DELTA, COCHLEA)

__all__ = ["ENCODERS", "Encoder"]
