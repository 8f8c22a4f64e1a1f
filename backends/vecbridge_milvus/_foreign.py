"""Search in collections that somebody else made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge_milvus._found import Entity, Found
from vecbridge_milvus._rows import to_vectors
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._view import View

_KEYS = 2000


def search_with_vectors(
    layout: Layout,
    view: View,
    queries: NDArray[np.float32],
    limit: int,
    scope: str,
    parameters: Mapping[str, Any] | None = None,
) -> list[Found]:
    """The engine's hits of each query, with their vectors.

    Where keys may have several rows, a server cannot bring vectors along: it looks for as many rows
    as it has found keys, finds some keys twice and others not, and refuses the search.
    """
    if layout.norm is not None:
        return view.search(queries, limit, scope, vectors=True, parameters=parameters)
    found = view.search(queries, limit, scope, vectors=False, parameters=parameters)
    keys = sorted({name for hits in found for name in hits.ids})
    read = view.rows(keys, [layout.key, layout.vector], _KEYS)
    rows: dict[str, Entity] = {row[layout.key]: row for row in read}
    return [_with_vectors(layout, hits, rows) for hits in found]


def _with_vectors(layout: Layout, hits: Found, rows: Mapping[str, Entity]) -> Found:
    # What was deleted in between is left out.
    kept = [place for place, name in enumerate(hits.ids) if name in rows]
    ids = tuple(hits.ids[place] for place in kept)
    numbers = hits.numbers[np.array(kept, dtype=np.intp)]
    return Found(ids, numbers, to_vectors(layout, [rows[name] for name in ids]))
