"""LangChain's own standard tests of vector stores, all of them, plain and awaited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

from vecbridge import get_backend
from vecbridge.langchain import VectorStore


class TestSklearn(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        with get_backend("sklearn") as store:
            yield VectorStore(store, "documents", self.get_embeddings())


class TestMilvusLite(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        with get_backend("milvus", uri=str(tmp_path / "documents.db")) as store:
            yield VectorStore(store, "documents", self.get_embeddings())
