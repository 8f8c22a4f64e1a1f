"""Values that travel: through pickle and copy, to another thread, process or machine."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np


class Value:
    """Base of a frozen dataclass whose attributes may be read-only mappings and arrays.

    A read-only mapping does not pickle by itself. An array that was handed over out of band, as
    object stores do, arrives read-only, while the contract makes it the receiver's own (REC-8).
    """

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: _ReadOnly(value) if isinstance(value, MappingProxyType) else value
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Not by assignment, which a frozen class refuses.
        vars(self).update({name: _received(value) for name, value in state.items()})


class _ReadOnly:
    """The content of a read-only mapping."""

    def __init__(self, mapping: MappingProxyType[str, Any]) -> None:
        self.content = dict(mapping)


def _received(value: object) -> object:
    if isinstance(value, _ReadOnly):
        return MappingProxyType(value.content)
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        return value.copy()
    return value
