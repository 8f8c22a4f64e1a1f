"""LangChain's ``VectorStore`` over an index of vecbridge: the same answers from every store."""

from __future__ import annotations

from vecbridge.langchain._store import VectorStore

__all__ = ["VectorStore"]
