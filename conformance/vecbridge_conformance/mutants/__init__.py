"""Backends that are broken on purpose, to prove that the suite finds what is broken.

Each is named after a real defect and says where it was reported. The reference that they are made
from keeps the whole contract.
"""

from __future__ import annotations

from vecbridge_conformance.mutants import (
    _conditions,  # noqa: F401  (registers its mutants)
    _fields,  # noqa: F401
    _indexes,  # noqa: F401
    _kept,  # noqa: F401
    _nothing,  # noqa: F401
    _reads,  # noqa: F401
    _writes,  # noqa: F401
)
from vecbridge_conformance.mutants._answers import FarReferenceIndex, RangedReferenceIndex
from vecbridge_conformance.mutants._backend import (
    MUTANTS,
    Mutant,
    MutantBackend,
    MutantSettings,
    ReferenceBackend,
    ReferenceSettings,
)
from vecbridge_conformance.mutants._distances import Float32Index
from vecbridge_conformance.mutants._reference import ReferenceIndex

__all__ = [
    "MUTANTS",
    "FarReferenceIndex",
    "Float32Index",
    "Mutant",
    "MutantBackend",
    "MutantSettings",
    "RangedReferenceIndex",
    "ReferenceBackend",
    "ReferenceIndex",
    "ReferenceSettings",
]
