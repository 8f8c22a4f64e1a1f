"""Redis with search: hashes as records, searched exactly, or by HNSW.

>>> import vecbridge
>>> store = vecbridge.get_backend("redis", host="localhost")
>>> store.close()
"""

from __future__ import annotations

from vecbridge_redis._backend import RedisBackend
from vecbridge_redis._settings import RedisSettings

__all__ = ["RedisBackend", "RedisSettings"]
