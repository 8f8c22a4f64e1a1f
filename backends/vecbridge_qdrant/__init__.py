"""Qdrant: collections as indexes, of a server by its address, or of the embedded engine by a path.

>>> import vecbridge
>>> store = vecbridge.get_backend("qdrant", url="http://localhost:6333")
>>> store.close()
"""

from __future__ import annotations

from vecbridge_qdrant._backend import QdrantBackend
from vecbridge_qdrant._settings import QdrantSettings

__all__ = ["QdrantBackend", "QdrantSettings"]
