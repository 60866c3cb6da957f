"""The mixings that can be trained: one file each, registered here."""

from pynn_models.registry import Registry
from snn_ssm.kinds.mixings.glu import GLU
from snn_ssm.kinds.mixings.gsu import GSU
from snn_ssm.kinds.mixings.kind import MixingKind
from snn_ssm.kinds.mixings.linear import LINEAR

MIXINGS: Registry[MixingKind] = Registry("mixing", LINEAR, GLU, GSU)

__all__ = ["MIXINGS", "MixingKind"]
