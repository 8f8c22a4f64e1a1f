"""``VectorStore``: what LangChain asks of a store, as calls of an index."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    AsyncIndex,
    AsyncStore,
    FieldType,
    InvalidArgumentError,
    InvalidIdError,
    Metric,
    Store,
)
from vecbridge._documents import JSON, TEXT, Keys, as_json, extra, open_documents
from vecbridge._plans import Plan, awaited, plain
from vecbridge.langchain._answers import Scored, documents_of, marginally_relevant, relevance_of
from vecbridge.langchain._filters import translated

with extra("langchain"):
    from langchain_core import vectorstores
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

# Their types are those that LangChain declares.
declared: Any = awaited


class VectorStore(vectorstores.VectorStore):
    """Documents in an index, found by the embeddings of their texts.

    Each search takes ``filter=``: conditions on the keys of the metadata that are declared, in the
    language of MongoDB, or a filter of vecbridge. Its other keyword arguments, such as
    ``ranking=``, are those of :meth:`vecbridge.Index.search`.

    Args:
        store: what :func:`vecbridge.get_backend` gives. Give an :class:`vecbridge.AsyncStore` to
            choose how many reads are awaited at a time, and to close its threads.
        index_name: of the index, which is made where there is none.
        embedding: makes vectors of texts.
        fields: name and type of each key of the metadata that filters can use, such as
            ``{"year": "integer?"}``. Without the ``?``, every document must have it.
        metric: how distance is measured.
        dimension: length of the vectors; by default a text is embedded to see.
        relevance_score_fn: what a distance is on LangChain's scale from 0 to 1. By default a cosine
            distance is ``1 - distance``, or 0 where that is negative, and a Euclidean one
            ``1 / (1 + distance)``. An inner product has no place on such a scale.

    Raises:
        SchemaMismatchError: the index has another dimension, metric or set of fields.
    """

    def __init__(
        self,
        store: Store | AsyncStore,
        index_name: str,
        embedding: Embeddings,
        *,
        fields: Mapping[str, FieldType] | None = None,
        metric: Metric | None = None,
        dimension: int | None = None,
        relevance_score_fn: Callable[[float], float] | None = None,
    ) -> None:
        both = store if isinstance(store, AsyncStore) else AsyncStore(store)
        length = dimension or len(embedding.embed_query("dimension"))
        self.index = open_documents(
            both.store, index_name, dimension=length, metric=metric, fields=fields
        )
        self._keys = Keys(self.index.info)
        self._embedding, self._relevance = embedding, relevance_score_fn
        self._plain = SimpleNamespace(
            index=self.index, query=embedding.embed_query, texts=embedding.embed_documents
        )
        self._async = SimpleNamespace(
            index=AsyncIndex(self.index, both),
            query=embedding.aembed_query,
            texts=embedding.aembed_documents,
        )

    def _waiting(self) -> Any:
        return self._plain

    async def _awaiting(self) -> Any:
        return self._async

    @property
    def embeddings(self) -> Embeddings:
        """What makes vectors of texts."""
        return self._embedding

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: Any = None, **options: Any
    ) -> VectorStore:
        """Open or make an index and add texts; ``options`` are those of the class, and ``ids``."""
        ids = options.pop("ids", None)
        made = cls(embedding=embedding, **options)
        made.add_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    async def afrom_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: Any = None, **options: Any
    ) -> VectorStore:
        """Await :meth:`from_texts`."""
        ids = options.pop("ids", None)
        made = await asyncio.to_thread(cls, embedding=embedding, **options)
        await made.aadd_texts(texts, metadatas, ids=ids)
        return made

    @plain
    def add_texts(
        self,
        /,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        batch_size: int = 256,
        **unknown: Any,
    ) -> Plan[list[str]]:
        """Embed texts in batches, then insert or replace their documents; return the ids.

        Raises:
            InvalidInputError: an argument is unusable; nothing was written.
        """
        _refuse(unknown)
        lines = [texts] if isinstance(texts, str) else list(texts)
        names = [name or str(uuid.uuid4()) for name in ids or [""] * len(lines)]
        given = metadatas or [{}] * len(lines)
        if not len(lines) == len(names) == len(given):
            raise InvalidArgumentError(
                f"expected one id and one metadata per text; got {len(lines)} texts, "
                f"{len(names)} ids and {len(given)} metadatas"
            )
        held = [as_json(each, name) for each, name in zip(given, names, strict=True)]
        columns = {TEXT: lines, JSON: held, **self._keys.copies(given)}
        vectors: list[NDArray[np.float64]] = []
        for start in range(0, len(lines), batch_size):
            made = yield _embedding_of(lines[start : start + batch_size])
            vectors += [np.asarray(each, dtype=np.float64) for each in made]
        if names:
            yield lambda side: side.index.upsert(names, vectors, columns)
        return names

    aadd_texts = declared(add_texts)

    @plain
    def delete(
        self,
        /,
        ids: list[str] | None = None,
        *,
        filter: Any = None,  # noqa: A002 - LangChain's name
        **unknown: Any,
    ) -> Plan[bool]:
        """Remove documents by id or by filter; to remove everything, drop the index."""
        _refuse(unknown)
        where = translated(filter, self._keys)
        if ids is None and where is None:
            raise InvalidIdError(
                "say which documents to remove: give ids or filter=; to remove them all, drop the "
                "index"
            )
        yield lambda side: side.index.delete(ids, where=where)
        return True

    adelete = declared(delete)

    @plain
    def get_by_ids(self, ids: Sequence[str], /) -> Plan[list[Document]]:
        """Return documents in the order of their ids, less those that are not there."""
        found = yield lambda side: side.index.fetch(ids, fields=(TEXT, JSON), vectors=False)
        return documents_of(found.ids, found.fields)

    aget_by_ids = declared(get_by_ids)

    @plain
    def similarity_search_with_score(
        self, /, query: str, k: int = 4, **options: Any
    ) -> Plan[Scored]:
        """Return the nearest documents with their distances: lower is nearer."""
        return (yield from self._nearest(query, k, **options))

    @plain
    def similarity_search(self, /, query: str, k: int = 4, **options: Any) -> Plan[list[Document]]:
        """Return the nearest documents."""
        return [found for found, _ in (yield from self._nearest(query, k, **options))]

    @plain
    def similarity_search_by_vector(
        self, /, embedding: list[float], k: int = 4, **options: Any
    ) -> Plan[list[Document]]:
        """Return the documents that are nearest to a vector."""
        return [found for found, _ in (yield from self._nearest(embedding, k, **options))]

    @plain
    def max_marginal_relevance_search(
        self, /, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> Plan[list[Document]]:
        """Return near documents that differ: ``k`` of the ``fetch_k`` nearest, by their cosines."""
        return (yield from self._diverse(query, k, fetch_k, lambda_mult, **options))

    @plain
    def max_marginal_relevance_search_by_vector(
        self,
        /,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Any,
    ) -> Plan[list[Document]]:
        """Return documents near a vector that differ, as above."""
        return (yield from self._diverse(embedding, k, fetch_k, lambda_mult, **options))

    asimilarity_search_with_score = declared(similarity_search_with_score)
    asimilarity_search = declared(similarity_search)
    asimilarity_search_by_vector = declared(similarity_search_by_vector)
    amax_marginal_relevance_search = declared(max_marginal_relevance_search)
    amax_marginal_relevance_search_by_vector = declared(max_marginal_relevance_search_by_vector)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return self._relevance or relevance_of(self.index.info.metric)

    def _nearest(self, query: str | list[float], k: int, **options: Any) -> Plan[Scored]:
        _, hits = yield from self._found(query, k, (TEXT, JSON), **options)
        return [*zip(documents_of(hits.ids, hits.fields), hits.distances.tolist(), strict=True)]

    def _diverse(
        self, query: str | list[float], k: int, most: int, balance: float, **options: Any
    ) -> Plan[list[Document]]:
        vector, hits = yield from self._found(query, most, (), **options)
        near = yield lambda side: side.index.fetch(hits.ids, fields=(TEXT, JSON))
        rows = marginally_relevant(np.asarray([vector], np.float32), near.vectors, k, balance)
        held = near.take(rows)
        return documents_of(held.ids, held.fields)

    def _found(self, query: Any, k: int, fields: Sequence[str], **options: Any) -> Plan[Any]:
        where = translated(options.pop("filter", None), self._keys)
        vector = (yield lambda side: side.query(query)) if isinstance(query, str) else query
        (hits,) = yield lambda side: side.index.search(
            vector, k, where=where, fields=fields, **options
        )
        return vector, hits


def _embedding_of(texts: list[str]) -> Callable[[Any], Any]:
    return lambda side: side.texts(texts)


def _refuse(unknown: Mapping[str, Any]) -> None:
    if unknown:
        raise InvalidArgumentError(f"there is no argument {min(unknown)!r} here")
