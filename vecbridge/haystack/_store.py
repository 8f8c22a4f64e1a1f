"""``VecbridgeDocumentStore``: what Haystack asks of a document store, as calls of an index."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vecbridge import AsyncIndex, AsyncStore, FieldType, Filter, Index, Metric, field, get_backend
from vecbridge._documents import JSON, TEXT, Keys, extra, open_documents
from vecbridge._plans import Plan, awaited, plain
from vecbridge.filters import And
from vecbridge.haystack import _secrets as secrets
from vecbridge.haystack._conversion import EMBEDDED, MORE, document_of, documents_of, held_of
from vecbridge.haystack._filters import required, translated
from vecbridge.haystack._summaries import MetadataSummaries
from vecbridge.locks import reentrant_lock

with extra("haystack"):
    from haystack import default_from_dict, default_to_dict
    from haystack.dataclasses import Document
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy


class VecbridgeDocumentStore(MetadataSummaries):
    """Documents in an index of any store. Connects on first use.

    Embeddings are kept as float32. Documents without one are kept too, and never retrieved by one.
    Filters may name the keys of ``meta`` that are declared, and no others.

    Args:
        index_name: of the index, which is made where there is none.
        dimension: length of the embeddings.
        backend: name of a backend, as for :func:`vecbridge.get_backend`.
        settings: of the backend; values may be ``Secret``.
        fields: name and type of each key of ``meta`` that filters can use, such as
            ``{"year": "integer?", "date": "timestamp?"}``. A timestamp is text in ISO 8601 in
            ``meta``. Without the ``?``, every document must have the key.
        metric: how distance is measured.
    """

    # As saved pipelines name it.
    __module__ = "vecbridge.haystack"

    def __init__(
        self,
        index_name: str,
        *,
        dimension: int,
        backend: str | None = None,
        settings: Mapping[str, Any] | None = None,
        fields: Mapping[str, FieldType] | None = None,
        metric: Metric | None = None,
    ) -> None:
        declared = None if fields is None else {**fields}
        self._asked: Any = {"dimension": dimension, "metric": metric, "fields": declared}
        self._name, self._backend, self._settings = index_name, backend, {**(settings or {})}
        self._opening = reentrant_lock()
        self._store: Any = None
        self._index: Index | None = None
        self._async: AsyncIndex | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return how the store is configured, without any secret.

        Raises:
            ConfigurationError: a setting holds a secret as plain text.
        """
        written = secrets.written(self._backend, self._settings)
        given = {"index_name": self._name, "backend": self._backend, "settings": written}
        return default_to_dict(self, **given, **self._asked)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> VecbridgeDocumentStore:
        """Return the store that :meth:`to_dict` described."""
        given = data["init_parameters"]
        settings = secrets.read(given.get("settings") or {})
        return default_from_dict(cls, {**data, "init_parameters": {**given, "settings": settings}})

    def close(self) -> None:
        """Close the connection; the next call makes it again."""
        with self._opening:
            if self._store is not None:
                self._store.close()
            self._store = self._index = self._async = None

    def _waiting(self) -> Index:
        with self._opening:
            if self._index is None:
                self._store = get_backend(self._backend, **secrets.resolved(self._settings))
                self._index = open_documents(self._store, self._name, **self._asked, more=MORE)
                self._keys = Keys(self._index.info, MORE)
                self._metric = self._index.info.metric
            return self._index

    async def _awaiting(self) -> AsyncIndex:
        found = self._async
        if found is None:
            index = await asyncio.to_thread(self._waiting)
            with self._opening:
                # Another task may have been faster.
                found = self._async = self._async or AsyncIndex(index, AsyncStore(self._store))
        return found

    @plain
    def count_documents(self, /) -> Plan[int]:
        """Return how many documents there are."""
        found: int = yield lambda index: index.count()
        return found

    @plain
    def count_documents_by_filter(self, /, filters: dict[str, Any]) -> Plan[int]:
        """Return how many documents match."""
        where = translated(filters, self._keys)
        found: int = yield lambda index: index.count(where=where)
        return found

    @plain
    def filter_documents(self, /, filters: dict[str, Any] | None = None) -> Plan[list[Document]]:
        """Return every document that matches, with its embedding, in any order."""
        return (yield from self._matching(filters))

    @plain
    def write_documents(
        self, /, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> Plan[int]:
        """Write documents, or none where one of them is unusable, and return how many.

        Args:
            documents: with embeddings of the dimension, or with none.
            policy: what to do with an id that is there, or twice in the list. ``NONE`` is ``FAIL``.

        Raises:
            DuplicateDocumentError: an id is there, and the policy is ``FAIL``.
            ValueError: these are no documents, or one of them cannot be kept.
        """
        given: Any = documents
        if not (isinstance(given, list) and all(isinstance(each, Document) for each in given)):
            raise ValueError("write_documents takes a list of Documents")
        if policy == DuplicatePolicy.OVERWRITE:
            yield from self._write(list({each.id: each for each in documents}.values()))
            return len(documents)
        times = Counter(each.id for each in documents)
        there = yield lambda index: index.contains(list(times))
        known = {name for name, found in zip(times, there.tolist(), strict=True) if found}
        taken = [name for name, count in times.items() if count > 1 or name in known]
        if taken and policy != DuplicatePolicy.SKIP:
            raise DuplicateDocumentError(
                f"document {taken[0]!r} is there already, or twice in the list; nothing was written"
            )
        first = {each.id: each for each in reversed(documents)}
        new = [each for name, each in first.items() if name not in known]
        yield from self._write(new)
        return len(new)

    @plain
    def delete_documents(self, /, document_ids: list[str]) -> Plan[None]:
        """Remove documents; ids that are not there are ignored."""
        yield lambda index: index.delete(document_ids)

    @plain
    def delete_all_documents(self, /) -> Plan[None]:
        """Remove every document, and keep the index."""
        yield from self._delete(None)

    @plain
    def delete_by_filter(self, /, filters: dict[str, Any]) -> Plan[int]:
        """Remove the documents that match, and return how many."""
        return (yield from self._delete(required(filters, self._keys)))

    @plain
    def update_by_filter(self, /, filters: dict[str, Any], meta: dict[str, Any]) -> Plan[int]:
        """Change keys of ``meta`` of the documents that match, and return how many."""
        required(filters, self._keys)
        found = yield from self._matching(filters)
        yield from self._write([replace(each, meta={**each.meta, **meta}) for each in found])
        return len(found)

    @plain
    def embedding_retrieval(
        self,
        /,
        query_embedding: list[float],
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
    ) -> Plan[list[Document]]:
        """Return the documents whose embeddings are nearest, each with its score: higher is nearer.

        The score is the cosine similarity, the inner product, or the negative Euclidean distance.
        """
        if top_k == 0:
            return []
        scope: Filter = field(EMBEDDED) == True  # noqa: E712 - a condition
        if (where := translated(filters, self._keys)) is not None:
            scope = And(scope, where)
        (hits,) = yield lambda index: index.search(query_embedding, top_k, where=scope, fields=True)
        vectors: dict[str, list[float]] = {}
        if return_embedding:
            found = yield lambda index: index.fetch(hits.ids, fields=None)
            vectors = dict(zip(found.ids, found.vectors.tolist(), strict=True))
        shift = 1.0 if self._metric == "cosine" else 0.0
        return [
            document_of(hit.id, hit.fields, vectors.get(hit.id), shift - hit.distance)
            for hit in hits
        ]

    def _matching(
        self, filters: Mapping[str, Any] | None, *, embeddings: bool = True
    ) -> Plan[list[Document]]:
        where = translated(filters, self._keys)
        batches = yield lambda index: index.scan(where=where, vectors=embeddings)
        return [
            each for records in batches for each in documents_of(records, embeddings=embeddings)
        ]

    def _write(self, documents: list[Document]) -> Plan[None]:
        """Write documents with distinct ids."""
        columns: dict[str, Any] = {
            TEXT: [each.content or "" for each in documents],
            JSON: [held_of(each) for each in documents],
            EMBEDDED: [each.embedding is not None for each in documents],
            **self._keys.copies([each.meta for each in documents]),
        }
        nothing = [0.0] * self._asked["dimension"]
        vectors = [nothing if each.embedding is None else each.embedding for each in documents]
        if documents:
            ids = [each.id for each in documents]
            yield lambda index: index.upsert(ids, vectors, columns)

    def _delete(self, where: Filter | None) -> Plan[int]:
        batches = yield lambda index: index.scan(where=where, fields=None, vectors=False)
        ids = [name for records in batches for name in records.ids]
        yield lambda index: index.delete(ids)
        return len(ids)

    count_documents_async = awaited(count_documents)
    count_documents_by_filter_async = awaited(count_documents_by_filter)
    filter_documents_async = awaited(filter_documents)
    write_documents_async = awaited(write_documents)
    delete_documents_async = awaited(delete_documents)
    delete_all_documents_async = awaited(delete_all_documents)
    delete_by_filter_async = awaited(delete_by_filter)
    update_by_filter_async = awaited(update_by_filter)
    embedding_retrieval_async = awaited(embedding_retrieval)
