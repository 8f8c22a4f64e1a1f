"""Haystack's document store and embedding retriever over an index of vecbridge."""

from __future__ import annotations

from vecbridge.haystack._retriever import VecbridgeEmbeddingRetriever
from vecbridge.haystack._store import VecbridgeDocumentStore

__all__ = ["VecbridgeDocumentStore", "VecbridgeEmbeddingRetriever"]
