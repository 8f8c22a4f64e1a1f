"""LanceDB: tables in a folder or an object store as indexes, searched exactly or by IVF and HNSW.

>>> import vecbridge
>>> store = vecbridge.get_backend("lancedb", uri="/tmp/vectors")
>>> store.close()
"""

from __future__ import annotations

from vecbridge_lancedb._backend import LancedbBackend
from vecbridge_lancedb._settings import LancedbSettings

__all__ = ["LancedbBackend", "LancedbSettings"]
