"""Records that are copied from store to store, all the way round, are the same records."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge.transfer import checksum, copy

COUNT = int(os.environ.get("VECBRIDGE_TEST_ROUND_TRIP", "2000"))
DIMENSION = 256 if COUNT > 10_000 else 32
FIELDS: Any = {
    kind + ("_or_none" if mark else ""): kind + mark
    for kind in ("string", "integer", "float", "boolean", "timestamp", "strings")
    for mark in ("", "?")
}
VALUES: dict[str, list[Any]] = {
    "string": ["", "cat", 'd\'og "x" \\ {,}', "\x01\x7f", "\U0001f600 e\u0301", "\ue000", " a "],
    "integer": [0, -1, 2**63 - 1, -(2**63), 2**53 + 1, 7],
    "float": [0.0, -0.0, 5e-324, -1.7976931348623157e308, 0.1, 2.0**53],
    "boolean": [True, False],
    "timestamp": [
        datetime(1, 1, 1, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
        datetime(2026, 2, 28, tzinfo=timezone.utc) + timedelta(microseconds=1),
    ],
    "strings": [[], ["a"], ["b", "a", "b"], ["", "a,b", "\U0001f600"]],
}
"""Values that some store changes, or takes for none."""
WAY = ("pgvector", "qdrant", "lancedb", "redis", "milvus", "sklearn")


def column(kind: str) -> list[Any]:
    values = VALUES[kind.removesuffix("?")] + ([None] if kind.endswith("?") else [])
    return [values[row % len(values)] for row in range(COUNT)]


def options(backend: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    if backend in ("pgvector", "redis"):
        return {"uri": request.getfixturevalue(f"{backend}_uri")}
    if backend in ("milvus", "lancedb"):
        return {"uri": str(folder / f"{backend}.db")}
    return {"path": str(folder / backend)}


def test_one_digest_all_the_way_round(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((COUNT, DIMENSION)).astype(np.float32)
    vectors[:6, :] *= np.array([[0], [1e-30], [1e18], [1e-3], [1e5], [3]], np.float32)
    with ExitStack() as stack:
        start = stack.enter_context(vecbridge.get_backend("sklearn", path=tmp_path / "first"))
        index = start.create_index("round", dimension=DIMENSION, metric="euclidean", fields=FIELDS)
        ids = [f"photo '{row}' \u00e9" for row in range(COUNT)]
        index.upsert(ids, vectors, {name: column(kind) for name, kind in FIELDS.items()})
        first = checksum(index)
        queries = vectors[10:20] + np.float32(0.01)
        ranking = [(hits.ids, hits.distances.tolist()) for hits in index.search(queries, k=20)]
        for backend in WAY:
            place = options(backend, tmp_path, request)
            store = stack.enter_context(vecbridge.get_backend(backend, **place))
            if "round" in store.index_names():
                store.drop_index("round")
            done = copy(index, store)
            assert done.written == COUNT
            index = store.open_index("round")
            assert checksum(index) == first, backend
            found = index.search(queries, k=20)
            assert [(hits.ids, hits.distances.tolist()) for hits in found] == ranking, backend
            assert all(hits.exact for hits in found), backend
