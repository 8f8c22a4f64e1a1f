"""PostgreSQL with pgvector: tables as indexes, searched exactly, or by HNSW and IVFFlat.

>>> import vecbridge
>>> store = vecbridge.get_backend("pgvector", uri="postgresql://localhost/photos")
>>> store.close()
"""

from __future__ import annotations

from vecbridge_pgvector._backend import PgvectorBackend
from vecbridge_pgvector._settings import PgvectorSettings

__all__ = ["PgvectorBackend", "PgvectorSettings"]
