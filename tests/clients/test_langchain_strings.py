"""LangChain's filters of a key that holds a list of strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from vecbridge import InvalidArgumentError, Store, get_backend
from vecbridge.langchain import VectorStore

EMBEDDING = DeterministicFakeEmbedding(size=8)
TAGS: dict[str, Any] = {"a": ["x", "y"], "b": ["y"], "c": [], "d": None}


@pytest.fixture
def store() -> Iterator[Store]:
    with get_backend("sklearn") as opened:
        yield opened


def _found(notes: VectorStore, where: dict[str, Any]) -> set[str | None]:
    return {each.id for each in notes.similarity_search("x", k=10, filter=where)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"tags": "x"}, "a"),
        ({"tags": {"$eq": "y"}}, "ab"),
        ({"tags": {"$ne": "x"}}, "bcde"),
        ({"tags": {"$in": ["x", "z"]}}, "a"),
        ({"tags": {"$in": ["x", "y"]}}, "ab"),
        ({"tags": {"$in": []}}, ""),
        ({"tags": {"$in": ["x", None]}}, "ade"),
        ({"tags": {"$nin": ["x"]}}, "bcde"),
        ({"tags": {"$nin": []}}, "abcde"),
        ({"tags": None}, "de"),
        ({"tags": {"$exists": True}}, "abc"),
        ({"tags": {"$not": {"$in": ["y"]}}}, "cde"),
        ({"$and": [{"tags": "x"}, {"tags": "y"}]}, "a"),
    ],
)
def test_a_key_that_holds_strings_is_compared_with_each_of_them(
    store: Store, where: dict[str, Any], expected: str
) -> None:
    found = VectorStore(store, "notes", EMBEDDING, fields={"tags": "strings?"})
    found.add_texts(list(TAGS), [{"tags": each} for each in TAGS.values()], ids=list(TAGS))
    found.add_texts(["e"], [{}], ids=["e"])

    assert _found(found, where) == set(expected)


@pytest.mark.parametrize(
    "where",
    [
        {"tags": ["x"]},
        {"tags": {"$ne": ["x"]}},
        {"tags": {"$in": "x"}},
        {"tags": {"$in": [1]}},
        {"tags": 1},
        {"tags": {"$gt": "x"}},
    ],
)
def test_other_comparisons_of_a_key_that_holds_strings_are_refused(
    store: Store, where: dict[str, Any]
) -> None:
    found = VectorStore(store, "notes", EMBEDDING, fields={"tags": "strings?"})
    with pytest.raises(InvalidArgumentError, match="tags"):
        _found(found, where)
