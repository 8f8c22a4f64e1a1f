"""The durable record store of the local backends, for their authors.

A local backend keeps its records here and searches them here: see :class:`LocalBackend`,
:class:`LocalIndex` and :class:`ExactSearch`, which takes the engine's matrix product, and
``vecbridge_sklearn`` for the smallest whole one.

    >>> import numpy as np
    >>> store = LocalStore(None, backend="example")
    >>> table = store.create("points", dimension=2, metric="euclidean")
    >>> table.upsert(["a", "b"], np.float32([[3, 4], [0, 0]]))
    >>> table.snapshot().norms.tolist()
    [5.0, 0.0]
"""

from __future__ import annotations

from vecbridge.local._compaction import Compaction
from vecbridge.local._exact import ExactSearch, Products
from vecbridge.local._index import LocalBackend, LocalIndex, local_capabilities
from vecbridge.local._snapshot import IdTable, SearchScope, Snapshot
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable

__all__ = [
    "Compaction",
    "ExactSearch",
    "IdTable",
    "LocalBackend",
    "LocalIndex",
    "LocalStore",
    "LocalTable",
    "Products",
    "SearchScope",
    "Snapshot",
    "local_capabilities",
]
