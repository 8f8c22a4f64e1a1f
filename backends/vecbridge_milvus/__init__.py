"""The Milvus backend: Milvus Lite by path, a server, cluster or cloud endpoint by URI.

>>> import vecbridge
>>> vecbridge.get_backend("milvus", uri="vectors.db")
<Store 'milvus'>
"""

from __future__ import annotations

from vecbridge_milvus._backend import MilvusBackend
from vecbridge_milvus._index import MilvusIndex
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._settings import MilvusSettings

__all__ = ["IndexSettings", "MilvusBackend", "MilvusIndex", "MilvusSettings"]
