"""Linear mixing: ``o = W s + b``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_ssm.kinds.bounds import weighted_sum
from snn_ssm.kinds.mixings.kind import MixingKind
from snn_ssm.kinds.shapes import Shapes, linear_shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


def _shapes(prefix: str, model: ModelConfig) -> Shapes:
    return linear_shapes(prefix, model.channels, model.channels, bias=model.cells != "stock")


LINEAR = MixingKind(
    "linear", module="snn_ssm.model.mixing:LinearMixing", shapes=_shapes, bound=weighted_sum
)
