"""The client layer: everything that must be identical for all stores, written once.

Callers use :class:`Store` and :class:`Index`. An index reads and writes by id (``_records``), and
searches (``_index``): the nearest (``_search``), the farthest (``_farthest``), what is within a
radius or near each record (``_neighborhoods``), or by a look at every record (``_scan``). It checks
what callers give (``_validate``, ``_vector_values``) and what engines answer (``_checked``). Their
methods can be awaited (``_async``), in threads (``_threads``).
"""

from __future__ import annotations

# The whole of numpy before any part of it: threads may make the first stores of a process at once,
# and of numpy.typing, while another thread is still importing numpy, Python would give a part.
import numpy as np  # noqa: F401

from vecbridge._client._async import AsyncIndex, AsyncStore
from vecbridge._client._checked import Budgets
from vecbridge._client._index import Index
from vecbridge._client._scanned import Scan
from vecbridge._client._store import Store

__all__ = ["AsyncIndex", "AsyncStore", "Budgets", "Index", "Scan", "Store"]
