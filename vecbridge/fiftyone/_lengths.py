"""A warning where vectors of different length are compared by their dot product.

``dotproduct`` is the default metric of FiftyOne's page of Milvus. Among vectors of one length it
ranks as the angle does. Otherwise long ones come first, and a vector need not be its own nearest.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
"""The share of the longest by which others may be shorter before it is said."""


class Lengths:
    """The lengths of the vectors that one index was given in this process."""

    def __init__(self) -> None:
        self._shortest, self._longest = np.inf, 0.0
        self._said = False

    def look_at(self, vectors: Any, collection_name: str) -> None:
        """Says once that lengths differ.

        Args:
            vectors: ``(n, d)``, which were just added.
            collection_name: of the index.
        """
        if self._said:
            return
        rows = np.asarray(vectors, dtype=np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        self._shortest = min(self._shortest, float(lengths.min()))
        self._longest = max(self._longest, float(lengths.max()))
        if self._shortest < (1 - TOLERANCE) * self._longest:
            self._said = True
            logger.warning(
                "The vectors of %r have lengths from %.4g to %.4g, and its metric is dotproduct: "
                'long vectors are found first, whatever they show. Pass metric="cosine" to '
                "compute_similarity() to compare directions alone, or normalize the vectors",
                collection_name,
                self._shortest,
                self._longest,
            )
