"""A store whose indexes hold less than the contract allows, and say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vecbridge import Budgets, FieldLimits, FieldType, IndexInfo, Store
from vecbridge_conformance.mutants import MutantSettings, ReferenceBackend, ReferenceIndex

HELD: Mapping[FieldType, FieldLimits] = {
    "string": FieldLimits(max_bytes=5),
    "integer": FieldLimits(smallest=-128, largest=127),
    "float": FieldLimits(single_precision=True),
}


class NarrowBackend(ReferenceBackend):
    """Declares the same limits of every field of a type, and ids of at most 7 bytes."""

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        limits = {name: HELD[kind] for name, kind in info.fields.items() if kind in HELD}
        return super().opened(replace(info, limits=limits, max_id_bytes=7))


def narrow_store(**options: Any) -> Store:
    """A store in memory on such a backend; the options are budgets of its indexes."""
    return Store(NarrowBackend(MutantSettings()), budgets=Budgets(**options))
