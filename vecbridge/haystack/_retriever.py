"""``VecbridgeEmbeddingRetriever``: the component of a pipeline that retrieves by an embedding."""

from __future__ import annotations

from typing import Any

from vecbridge import InvalidArgumentError
from vecbridge._documents import extra
from vecbridge.haystack._store import VecbridgeDocumentStore

with extra("haystack"):
    from haystack import component, default_from_dict, default_to_dict
    from haystack.dataclasses import Document
    from haystack.document_stores.types import FilterPolicy, apply_filter_policy


@component
class VecbridgeEmbeddingRetriever:
    """Retrieves the documents whose embeddings are nearest to that of a query.

    Args:
        document_store: where to look.
        filters: only documents that match.
        top_k: how many to return.
        return_embedding: return documents with their embeddings.
        filter_policy: whether filters of a run replace these, or join them.
    """

    # As saved pipelines name it.
    __module__ = "vecbridge.haystack"

    def __init__(
        self,
        document_store: VecbridgeDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
    ) -> None:
        if not isinstance(document_store, VecbridgeDocumentStore):
            raise InvalidArgumentError(
                f"document_store must be a VecbridgeDocumentStore; got a "
                f"{type(document_store).__name__}"
            )
        policy = filter_policy
        self._store = document_store
        self._filters = filters
        self._top_k = top_k
        self._return_embedding = return_embedding
        self._policy = FilterPolicy.from_str(policy) if isinstance(policy, str) else policy

    def to_dict(self) -> dict[str, Any]:
        """Return how the component is configured, without any secret."""
        return default_to_dict(
            self,
            document_store=self._store.to_dict(),
            filters=self._filters,
            top_k=self._top_k,
            return_embedding=self._return_embedding,
            filter_policy=self._policy.value,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> VecbridgeEmbeddingRetriever:
        """Return the component that :meth:`to_dict` described."""
        given = dict(data["init_parameters"])
        given["document_store"] = VecbridgeDocumentStore.from_dict(given["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    @component.output_types(documents=list[Document])
    def run(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Return the nearest documents, nearest first, each with its score.

        Args:
            query_embedding: of the query.
            filters: as the policy says, instead of the component's or with them.
            top_k: how many, instead of the component's.
        """
        asked = self._asked(filters, top_k)
        return {"documents": self._store.embedding_retrieval(query_embedding, **asked)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Await what :meth:`run` returns."""
        asked = self._asked(filters, top_k)
        return {"documents": await self._store.embedding_retrieval_async(query_embedding, **asked)}

    def _asked(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        return {
            "filters": apply_filter_policy(self._policy, self._filters, filters),
            "top_k": self._top_k if top_k is None else top_k,
            "return_embedding": self._return_embedding,
        }
