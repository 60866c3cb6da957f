"""What a model can answer: one file each, registered here."""

from pynn_models.registry import Registry
from snn_ssm.kinds.outputs.classes import CLASSES, LABELS
from snn_ssm.kinds.outputs.kind import OutputKind
from snn_ssm.kinds.outputs.multi_label import MULTI_LABEL
from snn_ssm.kinds.outputs.values import VALUES

OUTPUTS: Registry[OutputKind] = Registry("output", CLASSES, LABELS, VALUES, MULTI_LABEL)

__all__ = ["OUTPUTS", "OutputKind"]
