"""Haystack's own tests of document stores, all of them, plain and awaited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from haystack.dataclasses import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.testing import document_store as plain
from haystack.testing import document_store_async as awaited

from vecbridge import FieldType
from vecbridge.haystack import VecbridgeDocumentStore

FIELDS: dict[str, FieldType] = {
    "category": "string?",
    "chapter": "string?",
    "date": "timestamp?",
    "draft": "boolean?",
    "extra_field": "string?",
    "featured": "boolean?",
    "name": "string?",
    "number": "integer?",
    "page": "string?",
    "published": "boolean?",
    "status": "string?",
    "updated": "boolean?",
    "year": "integer?",
}
"""The keys by which these tests filter."""


class Ours:
    """What Haystack's tests leave to each store."""

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        """As sets: no order is promised. Embeddings are float32 in every vector store."""
        assert _in_order(received) == _in_order(expected)

    def test_write_documents(self, document_store: Any) -> None:
        document = Document(content="x")

        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])

    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store: Any) -> None:
        document = Document(content="x")

        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


class TestSklearn(
    Ours,
    plain.DocumentStoreBaseExtendedTests,
    plain.CountDocumentsByFilterTest,
    plain.CountUniqueMetadataByFilterTest,
    plain.GetMetadataFieldMinMaxTest,
    plain.GetMetadataFieldUniqueValuesTest,
    plain.GetMetadataFieldsInfoTest,
    awaited.CountDocumentsAsyncTest,
    awaited.CountDocumentsByFilterAsyncTest,
    awaited.CountUniqueMetadataByFilterAsyncTest,
    awaited.DeleteAllAsyncTest,
    awaited.DeleteByFilterAsyncTest,
    awaited.DeleteDocumentsAsyncTest,
    awaited.FilterDocumentsAsyncTest,
    awaited.GetMetadataFieldMinMaxAsyncTest,
    awaited.GetMetadataFieldUniqueValuesAsyncTest,
    awaited.GetMetadataFieldsInfoAsyncTest,
    awaited.UpdateByFilterAsyncTest,
    awaited.WriteDocumentsAsyncTest,
):
    @pytest.fixture
    def document_store(self) -> Iterator[VecbridgeDocumentStore]:
        store = VecbridgeDocumentStore("docs", dimension=768, backend="sklearn", fields=FIELDS)
        yield store
        store.close()


class TestMilvusLite(
    Ours,
    plain.CountDocumentsTest,
    plain.DeleteAllTest,
    plain.DeleteDocumentsTest,
    plain.WriteDocumentsTest,
    awaited.CountDocumentsAsyncTest,
    awaited.DeleteAllAsyncTest,
    awaited.DeleteDocumentsAsyncTest,
    awaited.WriteDocumentsAsyncTest,
):
    """Without what filters, for which a document may lack a key: Milvus has no optional fields."""

    @pytest.fixture
    def document_store(self, tmp_path: Path) -> Iterator[VecbridgeDocumentStore]:
        place = {"uri": str(tmp_path / "documents.db")}
        store = VecbridgeDocumentStore("docs", dimension=8, backend="milvus", settings=place)
        yield store
        store.close()


def _in_order(documents: list[Document]) -> list[Document]:
    return [_rounded(each) for each in sorted(documents, key=lambda each: each.id)]


def _rounded(document: Document) -> Document:
    if document.embedding is None:
        return document
    return replace(document, embedding=np.asarray(document.embedding, np.float32).tolist())
