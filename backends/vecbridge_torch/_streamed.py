"""Scores from the float32 records as they are, a block at a time through the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vecbridge import Metric
from vecbridge.ranking import Float32Keys, norms
from vecbridge_torch._device import Arithmetic
from vecbridge_torch._small import multiply, subtract

_VECTOR_BYTES = 256 << 20


class Streamed:
    """Nothing is kept on the device; on a CPU nothing is copied either.

    Args:
        arithmetic: of the device.
        metric: of the index.
        queries: ``(q, d)`` float32.
        vectors: ``(n, d)`` float32, the records.
        keys: of these records.
        outside: ``(n,)``: records that are out of scope; ``None`` for none.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        metric: Metric,
        queries: NDArray[np.float32],
        vectors: NDArray[np.float32],
        keys: Float32Keys,
        outside: NDArray[np.bool_] | None,
    ) -> None:
        self._arithmetic = arithmetic
        self._metric = metric
        self._vectors = vectors
        self._keys = keys
        self._outside = outside
        self._query_norms = norms(queries).tolist()
        self.usable = np.array([keys.usable(norm) for norm in self._query_norms], dtype=np.bool_)
        safe = queries if self.usable.all() else np.where(self.usable[:, np.newaxis], queries, 0)
        self._queries = arithmetic.put(safe)
        self.quiet = self._queries.device.type == "cpu"

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Scores are keys with the sign turned."""
        put, per_record = self._arithmetic.put, self._keys.per_record
        count, dimension = self._vectors.shape
        width = min(
            block_width(self._arithmetic, len(self._queries)),
            max(1, _VECTOR_BYTES // (4 * dimension)),
        )
        for start in range(0, count, width):
            part = slice(start, start + width)
            scores = self._arithmetic.products(self._queries, put(self._vectors[part]))
            if per_record is not None and self._metric == "cosine":
                multiply(scores, put(-per_record[part]), quiet=self.quiet)
            elif per_record is not None:
                subtract(scores, put(per_record[part]), quiet=self.quiet)
            if self._outside is not None:
                scores.masked_fill_(put(self._outside[part]), float("-inf"))
            yield start, scores

    def errors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same for every record of a query."""
        errors = [
            self._keys.error(norm) if usable else 0.0
            for norm, usable in zip(self._query_norms, self.usable.tolist(), strict=True)
        ]
        return np.broadcast_to(np.array(errors)[:, np.newaxis], scores.shape)

    def floors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """As the keys have them, the errors being in the scores already."""
        return np.array(
            [
                self._keys.floor(-score, 0.0, norm) if usable else -np.inf
                for score, norm, usable in zip(
                    scores.tolist(), self._query_norms, self.usable.tolist(), strict=True
                )
            ]
        )


def block_width(arithmetic: Arithmetic, queries: int) -> int:
    """Records in a block, so that its scores take no more memory than they may."""
    return max(1, arithmetic.score_bytes // (4 * max(queries, 1)))
