"""Chroma: collections as indexes, in this process or on a server, searched by HNSW.

>>> import vecbridge
>>> store = vecbridge.get_backend("chroma", uri="http://localhost:8000")
>>> store.close()
"""

from __future__ import annotations

from vecbridge_chroma._backend import ChromaBackend
from vecbridge_chroma._settings import ChromaSettings

__all__ = ["ChromaBackend", "ChromaSettings"]
