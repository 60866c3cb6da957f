"""The backends that ``run``, ``verify`` and ``report`` know: registered here."""

from export.verification.backends.kind import RunBackend
from export.verification.backends.simulators import BRIAN2, NEST, NEURON
from export.verification.backends.software import SOFTWARE
from export.verification.backends.spinnaker import SPINNAKER
from export.verification.backends.spinnaker2_software import SPINNAKER2_SOFTWARE
from export.verification.backends.spinnaker_software import SPINNAKER_SOFTWARE
from export.verification.backends.torch import TORCH
from pynn_models.registry import Registry

BACKENDS: Registry[RunBackend] = Registry(
    "backend", TORCH, SOFTWARE, SPINNAKER_SOFTWARE, SPINNAKER2_SOFTWARE, NEST, BRIAN2, NEURON,
    SPINNAKER,
)
