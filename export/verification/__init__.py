"""Verification: runs of one network, compared spike for spike.

In come backends by name; out come the rows of the contract, the first divergence, margins and
accuracies. :mod:`export.pages` shows them.
"""

from export.verification.backends import (
    BACKENDS,
    UnknownBackendError,
    runner,
    runners,
    torch_runner,
    verify_backends,
)
from export.verification.comparison import (
    Divergence,
    VerificationError,
    first_difference,
    mismatches,
)
from export.verification.contract import CONTRACT, holds, verify, versions
from export.verification.sparse_attack import Attack, AttackError, attack

__all__ = [
    "BACKENDS",
    "CONTRACT",
    "Attack",
    "AttackError",
    "Divergence",
    "UnknownBackendError",
    "VerificationError",
    "attack",
    "first_difference",
    "holds",
    "mismatches",
    "runner",
    "runners",
    "torch_runner",
    "verify",
    "verify_backends",
    "versions",
]
