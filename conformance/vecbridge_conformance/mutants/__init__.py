"""Backends that are broken on purpose, to prove that the suite finds what is broken.

Each is named after a real defect and says where it was reported. The reference that they are made
from keeps the whole contract.
"""

from __future__ import annotations

from vecbridge_conformance.mutants import (
    _answers,  # noqa: F401  (registers its mutants)
    _distances,  # noqa: F401
    _fields,  # noqa: F401
    _float32,  # noqa: F401
    _ids,  # noqa: F401
    _indexes,  # noqa: F401
    _radius,  # noqa: F401
    _reads,  # noqa: F401
    _stores,  # noqa: F401
    _writes,  # noqa: F401
)
from vecbridge_conformance.mutants._backend import ReferenceBackend, ReferenceSettings
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._registry import (
    MUTANTS,
    Mutant,
    MutantBackend,
    MutantSettings,
)

__all__ = [
    "MUTANTS",
    "Mutant",
    "MutantBackend",
    "MutantSettings",
    "ReferenceBackend",
    "ReferenceIndex",
    "ReferenceSettings",
]
