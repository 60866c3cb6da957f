"""What each program does in one step: one file each, registered here."""

from export.interchange.semantics.exact import EXACT
from export.interchange.semantics.kind import Semantics, Sender, Step
from export.interchange.semantics.norse import NORSE
from export.interchange.semantics.sinabs import SINABS, SINABS_SUM
from export.interchange.semantics.snntorch import SNNTORCH, SNNTORCH_NONE, SNNTORCH_ZERO
from export.interchange.semantics.spikingjelly import SPIKINGJELLY
from pynn_models.registry import Registry

SEMANTICS: Registry[Semantics] = Registry(
    "semantics", SNNTORCH, SNNTORCH_ZERO, SNNTORCH_NONE, NORSE, SINABS, SINABS_SUM, SPIKINGJELLY,
    EXACT,
)  # fmt: skip

__all__ = ["SEMANTICS", "Semantics", "Sender", "Step"]
