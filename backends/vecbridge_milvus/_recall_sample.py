"""Queries whose true neighbours are known, to measure an approximate index with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import InvalidArgumentError, Metric
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._wire import to_stored, to_vectors

_ASKED = 16
_FEWEST_ASKED = 8
_MADE = 64
_NEAR = 8
_MOST_BYTES = 16 << 30
"""Vectors that are read for a sample; beyond that, a user has to name the effort."""


class Probe(NamedTuple):
    """Queries, as they are sent, and the ids of their true neighbours, nearest first."""

    queries: NDArray[np.float32]
    truth: list[list[str]]


class RecallSample(NamedTuple):
    """What an effort is chosen by.

    Attributes:
        probes: queries that were asked, on their own where they are enough to say something, and
            two lots of made ones. Made queries lie where records do, and find more than others.
        depth: how many neighbours of each are known.
        records: how many there were.
    """

    probes: list[Probe]
    depth: int
    records: int


def draw(
    collection: Collection, reader: Reader, asked: NDArray[np.float32], depth: int
) -> RecallSample:
    """Make queries and find their true neighbours by one pass over the records.

    A made query is a record moved by the distance of its nearest neighbour.

    Args:
        collection: the collection.
        reader: what to read.
        asked: ``(q, d)`` queries that are being asked, as they are sent.
        depth: how many neighbours to find.

    Raises:
        InvalidArgumentError: there is too much to look at.
    """
    layout = collection.layout
    size = 4 * layout.stored_dimension * reader.count("")
    if size > _MOST_BYTES:
        raise InvalidArgumentError(
            f"to meet a recall, index {layout.info.name!r} would have to be read once, and it "
            f"holds {size >> 30} GiB of vectors; name the effort instead: "
            f"search_params={{{layout.index.search_param or 'level'!r}: ...}}"
        )
    keys, count = _keys(reader, layout.key)
    made = _moved(collection, reader, keys)
    queries = np.concatenate([asked[:_ASKED], made])
    truth = _neighbours(collection, reader, queries, depth)
    middle = len(queries) - len(made) // 2
    first = len(asked[:_ASKED]) if len(asked) >= _FEWEST_ASKED else 0
    ends = sorted({0, first, middle, len(queries)})
    probes = [Probe(queries[start:stop], truth[start:stop]) for start, stop in pairwise(ends)]
    return RecallSample(probes, depth, count)


def _keys(reader: Reader, key: str) -> tuple[list[str], int]:
    """Return some keys, each as likely as any other, and how many there are."""
    generator = np.random.default_rng(0)
    kept: list[str] = []
    count = 0
    for page in reader.pages([key], MAX_LIMIT):
        for row in page:
            count += 1
            place = len(kept) if len(kept) < _MADE else int(generator.integers(count))
            if place < _MADE:
                kept[place : place + 1] = [row[key]]
    return kept, count


def _moved(collection: Collection, reader: Reader, keys: Sequence[str]) -> NDArray[np.float32]:
    layout = collection.layout
    if not keys:
        return np.empty((0, layout.stored_dimension), np.float32)
    rows = reader.query(layout.expressions.keys(keys), [layout.key, layout.vector])
    vectors = to_stored(layout, to_vectors(layout, rows))
    usual = layout.index.parameters(_NEAR, layout.index.usual(_NEAR))
    near = reader.search(vectors, _NEAR, "", vectors=True, parameters=usual)
    gaps = [
        _gap(vector, to_stored(layout, hits.vectors))
        for vector, hits in zip(vectors, near, strict=True)
    ]
    noise = np.random.default_rng(1).standard_normal(vectors.shape)
    noise *= np.array(gaps)[:, np.newaxis] / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(vectors + noise, dtype=np.float32)


def _gap(vector: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Return the distance of the nearest other vector that is not the same."""
    distances = np.linalg.norm(others.astype(np.float64) - vector, axis=1)
    apart = distances[distances > 0.0]
    return float(apart.min()) if len(apart) else 0.0


def _neighbours(
    collection: Collection, reader: Reader, queries: NDArray[np.float32], depth: int
) -> list[list[str]]:
    layout = collection.layout
    best = np.empty((len(queries), 0))
    names = np.empty((len(queries), 0), dtype=object)
    for page in reader.pages([layout.key, layout.vector], layout.page_rows):
        vectors = to_stored(layout, to_vectors(layout, page))
        keys = np.array([row[layout.key] for row in page], dtype=object)
        table = np.concatenate([best, _distances(layout.info.metric, queries, vectors)], axis=1)
        listed = np.concatenate([names, np.broadcast_to(keys, (len(queries), len(keys)))], axis=1)
        order = np.argsort(table, axis=1, kind="stable")[:, :depth]
        best = np.take_along_axis(table, order, axis=1)
        names = np.take_along_axis(listed, order, axis=1)
    return [list(row) for row in names]


def _distances(
    metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return numbers in the order of the distances; float64 is enough to count neighbours."""
    left, right = queries.astype(np.float64), vectors.astype(np.float64)
    products = left @ right.T
    squares = np.einsum("nd,nd->n", right, right)
    if metric == "dotproduct":
        table = -products
    elif metric == "euclidean":
        table = squares - 2.0 * products
    else:
        table = -products / np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    return np.asarray(table)
