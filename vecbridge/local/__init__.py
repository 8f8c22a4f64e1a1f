"""The durable record store of the local backends, for their authors.

A local backend keeps its records here and adds nothing but an engine that searches them: see
:class:`LocalBackend`, :class:`LocalIndex`, and ``vecbridge_sklearn`` for the smallest whole one.

    >>> import numpy as np
    >>> store = LocalStore(None, backend="example")
    >>> table = store.create("points", dimension=2, metric="euclidean")
    >>> table.upsert(["a", "b"], np.float32([[3, 4], [0, 0]]))
    >>> table.snapshot().norms.tolist()
    [5.0, 0.0]
"""

from __future__ import annotations

from vecbridge.local._backend import LocalBackend
from vecbridge.local._index import LocalIndex, local_capabilities
from vecbridge.local._scoped import Scoped
from vecbridge.local._snapshot import Snapshot
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable

__all__ = [
    "LocalBackend",
    "LocalIndex",
    "LocalStore",
    "LocalTable",
    "Scoped",
    "Snapshot",
    "local_capabilities",
]
