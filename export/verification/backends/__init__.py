"""Names of backends -> functions that run a network and return a Recording."""

from export.verification.backends.choice import backend_named, runner, runners, verify_backends
from export.verification.backends.kind import Options, RunBackend, UnknownBackendError
from export.verification.backends.registry import BACKENDS
from export.verification.backends.torch import torch_runner

__all__ = [
    "BACKENDS",
    "Options",
    "RunBackend",
    "UnknownBackendError",
    "backend_named",
    "runner",
    "runners",
    "torch_runner",
    "verify_backends",
]
