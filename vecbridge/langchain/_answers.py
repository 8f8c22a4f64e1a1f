"""What LangChain makes of hits: documents, relevance from 0 to 1, and a choice that differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecbridge import Fields, Metric, UnsupportedError
from vecbridge._documents import JSON, TEXT, extra
from vecbridge.ranking import distance_matrix

with extra("langchain"):
    from langchain_core.documents import Document

Scored: TypeAlias = list[tuple[Document, float]]


def documents_of(ids: Sequence[str], fields: Fields) -> list[Document]:
    """Return the documents of records or hits."""
    rows: Any = zip(ids, fields[TEXT], fields[JSON], strict=True)
    return [
        Document(id=name, page_content=text, metadata=json.loads(held)) for name, text, held in rows
    ]


def relevance_of(metric: Metric) -> Callable[[float], float]:
    """Return what a distance is on a scale from 0 to 1, where 1 is nearest.

    Raises:
        UnsupportedError: the metric has no place on such a scale.
    """
    if metric == "cosine":
        # Rounding may leave a distance just below 0, or the similarity of opposites below it.
        return lambda distance: min(1.0, max(0.0, 1.0 - distance))
    if metric == "euclidean":
        return lambda distance: 1.0 / (1.0 + distance)
    raise UnsupportedError(
        "an inner product may be any number, and has no place on a scale from 0 to 1. Give "
        "relevance_score_fn=, use the metric cosine, or ask similarity_search_with_score",
        capability="relevance",
    )


def marginally_relevant(
    query: NDArray[np.float32], vectors: NDArray[np.float32], k: int, balance: float
) -> list[int]:
    """Return rows in the order of maximal marginal relevance, as LangChain computes it."""
    relevance = scores = 1.0 - distance_matrix("cosine", query, vectors)[0]
    redundant = np.full(len(vectors), -1.0)
    rows: list[int] = []
    while len(rows) < min(k, len(vectors)):
        left = np.setdiff1d(np.arange(len(vectors)), rows)
        rows.append(int(left[np.argmax(scores[left])]))
        alike = 1.0 - distance_matrix("cosine", vectors[rows[-1:]], vectors)[0]
        redundant = np.maximum(redundant, alike)
        scores = balance * relevance - (1.0 - balance) * redundant
    return rows
