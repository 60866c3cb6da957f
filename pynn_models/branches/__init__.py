"""The kinds of gated input that a neuron can have: one file each, registered here."""

from pynn_models.branches.glu import GLU
from pynn_models.branches.gsu import GSU
from pynn_models.branches.kind import BranchKind
from pynn_models.registry import Registry

BRANCHES: Registry[BranchKind] = Registry("kind of branch", GLU, GSU)

__all__ = ["BRANCHES", "BranchKind"]
