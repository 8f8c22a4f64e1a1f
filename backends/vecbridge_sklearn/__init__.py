"""The reference backend: exact, durable, through scikit-learn.

>>> import vecbridge
>>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=2)
>>> index.upsert(["right", "up"], [[1, 0], [0, 1]])
>>> index.search([1, 0.1], k=1)[0].ids
('right',)
"""

from __future__ import annotations

from vecbridge_sklearn._backend import SklearnBackend, SklearnSettings

__all__ = ["SklearnBackend", "SklearnSettings"]
