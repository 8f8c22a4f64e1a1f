"""Haystack's documents as records, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vecbridge import FieldType, Records
from vecbridge._documents import JSON, TEXT, as_json, extra

with extra("haystack"):
    from haystack.dataclasses import Document

EMBEDDED = "document_embedded"
"""The field that says whether a document has an embedding; the vector is zero where it has none."""
MORE: dict[str, FieldType] = {EMBEDDED: "boolean"}
"""The fields of an index besides those of every client."""


def held_of(document: Document) -> str:
    """Return all of a document that has no field of its own, as JSON."""
    data = document.to_dict(flatten=False)
    own = {"id", "embedding"} | ({"content"} if document.content is not None else set())
    return as_json({name: value for name, value in data.items() if name not in own}, document.id)


def document_of(
    name: str, fields: Mapping[str, Any], embedding: list[float] | None, score: float | None = None
) -> Document:
    """Return the document of a record."""
    held = {"content": fields[TEXT], **json.loads(fields[JSON]), "id": name, "embedding": embedding}
    return Document.from_dict(held if score is None else {**held, "score": score})


def documents_of(records: Records, *, embeddings: bool) -> list[Document]:
    """Return the documents of records, with the embeddings that they have or without."""
    vectors: list[Any] = records.vectors.tolist() if embeddings else [None] * len(records)
    texts, held, embedded = (records.fields[name] for name in (TEXT, JSON, EMBEDDED))
    return [
        document_of(name, {TEXT: text, JSON: rest}, vector if has else None)
        for name, text, rest, has, vector in zip(
            records.ids, texts, held, embedded, vectors, strict=True
        )
    ]
