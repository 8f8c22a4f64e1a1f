"""The proof that an index which is described as FLAT looks at every record.

A server may put an index of its own in the place of the one that is asked for, and repeat what was
asked when it describes it (``autoIndex.enable``, as on Zilliz Cloud). So a description shows
nothing. What does: that the server refuses an index which cannot be built, instead of building its
own, when a collection is made; and that searches find what a reading of records knows to be near.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import AuthenticationError, BackendError, ClosedError, Consistency
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import distances, norms
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import boundary
from vecbridge_milvus._wire import engine_geometry, to_ids, to_stored, to_vectors

_CLOUD = "zilliz"
_IMPOSSIBLE: dict[str, Any] = {"index_type": "HNSW", "params": {"M": 0, "efConstruction": 0}}
"""A graph without edges: refused wherever what is asked for is what is built."""

_ROWS = 4096
_DEPTH = 10
"""Neighbours of each query: the fewer are asked for, the more of them a graph misses."""

_QUERIES, _MOST_QUERIES = 16, 1024
_LEAST_INDEXED = 1000
_LEAST_FOUND = 500
_MORE = 1.5
"""How many times that number a probe is made to find on average."""

_known: dict[tuple[str, str, str], str] = {}
_guard = reentrant_lock()


def is_cloud(connection: Connection, operation: str) -> bool:
    """Return whether a server is Zilliz Cloud, which builds its own index whatever is asked for."""
    if _CLOUD in connection.place.lower():
        return True
    client = connection.client(operation)
    with boundary("connect"):
        ask = getattr(client, "get_server_type", None)
        return callable(ask) and _CLOUD in str(ask()).lower()


def replaces_indexes(connection: Connection, name: str, vector: str, metric_type: str) -> bool:
    """Return whether a server builds another index when asked for what cannot be built.

    It is asked on a new collection, which has no index yet, and has none afterwards.
    """
    if is_cloud(connection, "create_index"):
        return True
    client, timeout = connection.client("create_index"), connection.timeout
    indexes = client.prepare_index_params()
    indexes.add_index(vector, index_name=vector, metric_type=metric_type, **_IMPOSSIBLE)
    try:
        with boundary("create_index"):
            client.create_index(name, indexes, timeout=timeout, sync=False)
    except AuthenticationError:
        raise
    except BackendError as error:
        if error.retryable:
            raise
        return False
    with boundary("create_index"):
        client.drop_index(name, vector, timeout=timeout)
    return True


def doubt(collection: Collection) -> str:
    """Return why searches of a loaded collection may not look at every record; empty if they do.

    Three things are looked at: what the index is called, whether the server is one that puts its
    own in its place, and a probe, one small read and one search, whose outcome is remembered for a
    collection and a version of its server. Where the server was seen to build what it is asked for,
    nothing in the probe must speak against it; else there must be enough that speaks for it.
    """
    layout, connection = collection.layout, collection.connection
    if not layout.index.exhaustive:
        return f"its index is called {layout.index.name}, which is approximate"
    if connection.lite:
        return ""
    if is_cloud(connection, "open_index"):
        return "the server is Zilliz Cloud, which builds an index of its own in the place of FLAT"
    about = connection.place, connection.version, layout.collection
    with _guard:
        known = _known.get(about)
    if known is None:
        try:
            known, certain = _examined(collection)
        except BackendError as error:
            # An account may search and not be allowed to read.
            if error.retryable or isinstance(error, ClosedError):
                raise
            return "" if layout.tried else f"a probe was refused: {error}"
        if certain:
            with _guard:
                _known[about] = known
    return known


def _examined(collection: Collection) -> tuple[str, bool]:
    """Return what there is against a collection, and whether that is to be remembered."""
    tried = collection.layout.tried
    indexed, stored = int(collection.layout.index.build.get("indexed_rows", 0)), 0
    # What is not indexed yet is searched one by one, whatever the index will be.
    if tried and indexed < _LEAST_INDEXED:
        return "", False
    if not tried:
        with collection.reading("search", "eventual") as reader:
            stored = reader.count("")
        if indexed < _LEAST_INDEXED or 2 * indexed < stored:
            return (
                f"{indexed} of its {stored} records are indexed, and a probe shows nothing before "
                f"most are, and {_LEAST_INDEXED} at least"
            ), False
    probe = _probed(collection, "eventual", stored)
    if probe.missed:
        # Records may have been written or removed between a read and the next one.
        probe = _probed(collection, "strong", stored)
    if probe.missed:
        known = probe.missed + probe.found
        return f"a probe missed {probe.missed} of {known} neighbours that it knew of", True
    if tried or probe.found >= _LEAST_FOUND:
        return "", True
    return (
        f"a probe of {stored} records, of which it reads some, shows too little: it knew of "
        f"{probe.found} neighbours, and {_LEAST_FOUND} are wanted"
    ), False


class _Probe(NamedTuple):
    """How many records near queries the answers have left out, and how many they have."""

    missed: int = 0
    found: int = 0


def _probed(collection: Collection, level: Consistency, stored: int) -> _Probe:
    """Read a page of records, search near them, and compare.

    Args:
        collection: what to probe.
        level: of both.
        stored: how many records there are, of a collection that needs to be shown; else 0.
    """
    layout = collection.layout
    geometry = engine_geometry(layout)
    rows = max(64, min(_ROWS, layout.page_rows))
    missed = there = 0
    with collection.reading("search", level) as reader:
        page = next(iter(reader.pages([layout.key, layout.vector], rows)), [])
        ids, vectors = np.array(to_ids(layout, page), dtype=object), to_vectors(layout, page)
        lengths = norms(vectors)
        # Beyond these, even a search of everything leaves records out.
        usable = (lengths > max(geometry.band[0], 0.0)) & (lengths < 2.0**40)
        ids, vectors = ids[usable], vectors[usable]
        if not len(ids):
            return _Probe()
        count = max(_QUERIES, math.ceil(_MORE * _LEAST_FOUND * stored / (_DEPTH * len(ids))))
        if count > _MOST_QUERIES:
            return _Probe()
        largest = float(lengths[usable].max())
        queries = _between(np.random.default_rng(0), vectors, count)
        sent, asked = geometry.prepare(queries)
        answers = reader.search(to_stored(layout, sent), _DEPTH, "", vectors=False)
    for query, how, hits in zip(queries, asked, answers, strict=True):
        if not geometry.trusts(how):
            continue
        native = geometry.distances(hits.scores, how)
        whole = len(hits.ids) < _DEPTH
        bounds = geometry.lower_bounds(native, how, largest)
        lowest = np.inf if whole else bounds[native.argmax()]
        near = ids[distances(layout.info.metric, query, vectors) < lowest]
        found = int(np.isin(near, np.array(hits.ids, dtype=object)).sum())
        missed, there = missed + len(near) - found, there + found
    return _Probe(missed, there)


def _between(
    generator: np.random.Generator, vectors: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """Return queries near records, and not on them: the poorest index finds a record itself."""
    first, second = generator.integers(len(vectors), size=(2, count))
    share = generator.uniform(0.05, 0.5, size=(count, 1))
    return np.asarray((1 - share) * vectors[first] + share * vectors[second], dtype=np.float32)
