"""Networks from and for other programs: graphs of the Neuromorphic Intermediate Representation.

In comes a :class:`export.description.Network` or a NIR graph; out comes the other one. What NIR
cannot say is refused by name, and so is what a graph leaves open.
"""

from export.interchange.errors import InterchangeError
from export.interchange.files import load_nir, save_nir
from export.interchange.graph import to_nir
from export.interchange.network import ENCODINGS, Options, from_nir
from export.interchange.semantics import SEMANTICS, Semantics

__all__ = [
    "ENCODINGS",
    "SEMANTICS",
    "InterchangeError",
    "Options",
    "Semantics",
    "from_nir",
    "load_nir",
    "save_nir",
    "to_nir",
]
