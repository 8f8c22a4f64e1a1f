"""The FAISS backend: exact by default, approximate on demand, durable.

>>> import vecbridge
>>> index = vecbridge.get_backend("faiss").create_index("points", dimension=2)
>>> index.upsert(["right", "up"], [[1, 0], [0, 1]])
>>> index.search([1, 0.1], k=1)[0]
Hits(ids=('right',), distances=array([0.00496281]), exact=True)
"""

from __future__ import annotations

from vecbridge_faiss._backend import FaissBackend, FaissIndex
from vecbridge_faiss._settings import FaissSettings

__all__ = ["FaissBackend", "FaissIndex", "FaissSettings"]
