"""The proof that an index which is described as FLAT looks at every record.

A server may put an index of its own in the place of the one that is asked for, and repeat what was
asked when it describes it (``autoIndex.enable``, as on Zilliz Cloud). So a description shows
nothing. What does: that the server refuses an index which cannot be built, instead of building its
own, when a collection is made; and that searches find what a reading of records knows to be near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import AuthenticationError, BackendError, ClosedError, Consistency
from vecbridge.ranking import distances, norms
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import boundary
from vecbridge_milvus._wire import engine_geometry, to_ids, to_stored, to_vectors

_CLOUD = "zilliz"
_IMPOSSIBLE: dict[str, Any] = {"index_type": "HNSW", "params": {"M": 0, "efConstruction": 0}}
"""A graph without edges: refused wherever what is asked for is what is built."""

_ROWS = 4096
_LEAST_INDEXED = 1000
_LEAST_CHECKED = 500
_ROUNDS = ((64, 10), (8, 500))
_BRIEF_ROUNDS = ((16, 10),)


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


def shown(collection: Collection) -> bool:
    """Return whether searches of a loaded collection with a FLAT index are seen to be exhaustive.

    Where its server was seen to build what it is asked for, nothing must speak against it; else
    there must be enough that speaks for it.
    """
    if is_cloud(collection.connection, "open_index"):
        return False
    known, number = collection.connection.shown, collection.layout.collection
    if number not in known:
        try:
            known[number] = _examined(collection, tried=collection.layout.tried)
        except BackendError as error:
            # An account may search and not be allowed to read.
            if error.retryable or isinstance(error, ClosedError):
                raise
            return collection.layout.tried
    return known[number]


def _examined(collection: Collection, *, tried: bool) -> bool:
    rounds = _BRIEF_ROUNDS if tried else _ROUNDS
    missed, checked = _probed(collection, "eventual", rounds)
    if missed:
        # Records may have been written or removed between a read and the next one.
        missed, checked = _probed(collection, "strong", rounds)
    if tried or missed:
        return not missed
    # What is not indexed yet is searched one by one, whatever the index will be.
    stored, indexed = collection.progress()
    enough = indexed >= _LEAST_INDEXED and 2 * indexed >= stored
    return enough and checked >= _LEAST_CHECKED


def _probed(
    collection: Collection, level: Consistency, rounds: tuple[tuple[int, int], ...]
) -> tuple[int, int]:
    """Search near records that were read; return how many nearer ones the answers leave out.

    Returns:
        How many records are missing although nearer than the last hit, and how many of the hits
        were known to belong there.
    """
    layout = collection.layout
    geometry = engine_geometry(layout)
    rows = max(64, min(_ROWS, layout.page_rows))
    missed = checked = 0
    with collection.reading("search", level) as reader:
        page = next(iter(reader.pages([layout.key, layout.vector], rows)), [])
        if not page:
            return 0, 0
        ids, vectors = np.array(to_ids(layout, page), dtype=object), to_vectors(layout, page)
        lengths = norms(vectors)
        # Beyond these, even a search of everything leaves records out.
        usable = (lengths > max(geometry.band[0], 0.0)) & (lengths < 2.0**40)
        ids, vectors = ids[usable], vectors[usable]
        if not len(ids):
            return 0, 0
        generator, largest = np.random.default_rng(0), float(lengths[usable].max())
        for count, depth in rounds:
            queries = _between(generator, vectors, count)
            sent, asked = geometry.prepare(queries)
            found = reader.search(to_stored(layout, sent), depth, "", vectors=False)
            for query, how, hits in zip(queries, asked, found, strict=True):
                if not geometry.trusts(how):
                    continue
                native = geometry.distances(hits.scores, how)
                whole = len(hits.ids) < depth
                bounds = geometry.lower_bounds(native, how, largest)
                lowest = np.inf if whole else bounds[native.argmax()]
                near = ids[distances(layout.info.metric, query, vectors) < lowest]
                there = np.isin(near, np.array(hits.ids, dtype=object))
                missed += int((~there).sum())
                checked += int(there.sum())
    return missed, checked


def _between(
    generator: np.random.Generator, vectors: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """Return queries near records, and not on them: the poorest index finds a record itself."""
    first, second = generator.integers(len(vectors), size=(2, count))
    share = generator.uniform(0.05, 0.5, size=(count, 1))
    return np.asarray((1 - share) * vectors[first] + share * vectors[second], dtype=np.float32)
