"""``vecbridge.haystack``: retrieval and its scores, filters, secrets, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.utils import Secret
from haystack.utils.filters import document_matches_filter

from vecbridge import ConfigurationError, DimensionError, FieldType, InvalidInputError, Metric
from vecbridge.haystack import VecbridgeDocumentStore, VecbridgeEmbeddingRetriever

FIELDS: dict[str, FieldType] = {
    "number": "integer?",
    "name": "string?",
    "date": "timestamp?",
    "flag": "boolean?",
    "share": "float?",
}
VALUES: dict[str, list[Any]] = {
    "number": [-2, 0, 1, 7, 1.5, None],
    "name": ["a", "b", "Ä", "", None],
    "date": ["1969-07-21T20:17:40", "1972-12-11", "1989-11-09T17:53:00.5", None],
    "flag": [True, False, None],
    "share": [0, 0.1, -1.5, 1, None],
}
EQUALITIES = ["==", "!=", "in", "not in"]
OPERATORS = {name: [*EQUALITIES, "<", "<=", ">", ">="] for name in ("number", "date", "share")}


@pytest.fixture
def store() -> Iterator[VecbridgeDocumentStore]:
    opened = VecbridgeDocumentStore("docs", dimension=2, backend="sklearn", fields=FIELDS)
    yield opened
    opened.close()


def places(metric: Metric = "cosine") -> VecbridgeDocumentStore:
    opened = VecbridgeDocumentStore("docs", dimension=2, backend="sklearn", metric=metric)
    embeddings = {"near": [3.0, 4.0], "side": [0.0, 1.0], "back": [-3.0, -4.0], "none": None}
    opened.write_documents([Document(id=name, embedding=e) for name, e in embeddings.items()])
    return opened


def test_a_time_finer_than_a_microsecond_is_refused_and_not_cut(
    store: VecbridgeDocumentStore,
) -> None:
    store.write_documents([Document(id="whole", meta={"date": "2024-01-01T00:00:00Z"})])
    fine = "2024-01-01T00:00:00.0000001Z"

    with pytest.raises(InvalidInputError, match=r"'date' .* microseconds.*more digits"):
        store.write_documents([Document(id="fine", meta={"date": fine})])
    for operator, value in {"==": fine, "in": [fine], ">": fine}.items():
        with pytest.raises(FilterError, match="more digits"):
            store.filter_documents({"field": "meta.date", "operator": operator, "value": value})
    assert store.count_documents() == 1


@pytest.mark.parametrize(
    ("metric", "scores"),
    [
        ("cosine", [1.0, 0.8, -1.0]),
        ("dotproduct", [25.0, 4.0, -25.0]),
        ("euclidean", [0.0, -(18**0.5), -10.0]),
    ],
)
def test_the_nearest_come_first_with_the_highest_score(metric: Metric, scores: list[float]) -> None:
    found = places(metric).embedding_retrieval([3.0, 4.0], top_k=10)

    assert [each.id for each in found] == ["near", "side", "back"]
    assert [each.score for each in found] == pytest.approx(scores)
    assert all(each.embedding is None for each in found)


def test_a_document_without_an_embedding_is_never_retrieved_and_never_lost() -> None:
    opened = places("euclidean")

    nearest = opened.embedding_retrieval([0.0, 0.0], top_k=3, return_embedding=True)

    assert [each.id for each in nearest] == ["side", "back", "near"]
    assert nearest[0].embedding == [0.0, 1.0]
    assert {each.id: each.embedding for each in opened.filter_documents()}["none"] is None
    assert opened.embedding_retrieval([0.0, 0.0], top_k=0) == []


def test_all_of_a_document_comes_back(store: VecbridgeDocumentStore) -> None:
    whole = Document(
        content="text",
        blob=ByteStream(b"\0\xff", meta={"m": 1}, mime_type="image/png"),
        meta={"number": 1, "content": "a key of that name", "deep": {"list": [1, None, {}]}},
        score=0.5,
        embedding=[0.25, 0.5],
        sparse_embedding=SparseEmbedding([1, 5], [0.1, 0.2]),
    )
    others = [Document(content=""), Document(meta={"number": 2}), Document(content="x", id="ö\n")]
    store.write_documents([whole, *others])

    found = {each.id: each for each in store.filter_documents()}

    assert found == {each.id: each for each in [whole, *others]}


def random_filter(draw: random.Random, depth: int = 0) -> dict[str, Any]:
    if depth < 3 and draw.random() < 0.45:
        conditions = [random_filter(draw, depth + 1) for _ in range(draw.randint(1, 3))]
        return {"operator": draw.choice(["AND", "OR", "NOT"]), "conditions": conditions}
    name = draw.choice([*FIELDS])
    operator = draw.choice(OPERATORS.get(name, EQUALITIES))
    value = draw.choice(VALUES[name])
    if operator in {"in", "not in"}:
        value = draw.sample(VALUES[name], draw.randint(0, 3))
    return {"field": f"meta.{name}", "operator": operator, "value": value}


def test_filters_mean_what_haystack_says(store: VecbridgeDocumentStore) -> None:
    draw = random.Random(17)
    documents = [
        Document(
            id=str(number),
            meta={
                name: value
                for name, values in VALUES.items()
                if (value := draw.choice(values)) != 1.5 and draw.random() < 0.8
            },
        )
        for number in range(60)
    ]
    store.write_documents(documents)

    partly = 0
    for _ in range(600):
        filters = random_filter(draw)
        expected = {each.id for each in documents if document_matches_filter(filters, each)}
        assert {each.id for each in store.filter_documents(filters)} == expected, filters
        partly += 0 < len(expected) < len(documents)
    assert partly > 400


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.unknown", "operator": "==", "value": 1},
        {"field": "content", "operator": "==", "value": "x"},
        {"field": "id", "operator": "==", "value": "x"},
        {"field": "meta.number", "operator": "==", "value": "1"},
        {"field": "meta.number", "operator": "in", "value": [1, "1"]},
        {"field": "meta.number", "operator": "like", "value": 1},
        {"field": "meta.name", "operator": ">", "value": "a"},
        {"field": "meta.date", "operator": ">", "value": "soon"},
        {"field": "meta.number", "operator": "==", "value": 1, "boost": 2},
        {"operator": "XOR", "conditions": [{"field": "number", "operator": "==", "value": 1}]},
        {"operator": "AND", "conditions": []},
        {"operator": "AND", "conditions": {"field": "number", "operator": "==", "value": 1}},
        {"operator": "OR", "conditions": ["number == 1"]},
        ["number == 1"],
    ],
)
def test_a_filter_without_a_translation_is_refused_whole(
    store: VecbridgeDocumentStore, filters: Any
) -> None:
    store.write_documents([Document(content="x", meta={"number": 1}, embedding=[0.0, 1.0])])

    for ask in (
        store.filter_documents,
        store.delete_by_filter,
        store.count_documents_by_filter,
        lambda given: store.update_by_filter(given, {"number": 2}),
        lambda given: store.embedding_retrieval([0.0, 1.0], filters=given),
    ):
        with pytest.raises(FilterError):
            ask(filters)
    assert [each.meta for each in store.filter_documents()] == [{"number": 1}]


def test_no_filter_is_not_a_filter_that_matches_all_to_what_changes_documents(
    store: VecbridgeDocumentStore,
) -> None:
    store.write_documents([Document(content="x")])

    none: list[Any] = [{}, None]
    for filters in none:
        with pytest.raises(FilterError, match="delete_all_documents"):
            store.delete_by_filter(filters)
        with pytest.raises(FilterError, match="delete_all_documents"):
            store.update_by_filter(filters, {"number": 2})
    assert store.count_documents() == 1


def test_a_list_with_a_duplicate_or_an_unusable_document_is_not_written_at_all(
    store: VecbridgeDocumentStore,
) -> None:
    store.write_documents([Document(id="a", content="old")])
    new, again = Document(id="b", content="new"), Document(id="a", content="again")

    for policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
        for documents in ([new, again], [new, new]):
            with pytest.raises(DuplicateDocumentError):
                store.write_documents(documents, policy)
    for bad, error in (
        (Document(id="c", embedding=[1.0]), DimensionError),
        (Document(id="c", meta={"number": "one"}), InvalidInputError),
        (Document(id="c", meta={"x": object()}), InvalidInputError),
    ):
        with pytest.raises(error):
            store.write_documents([new, bad], DuplicatePolicy.OVERWRITE)

    assert [each.content for each in store.filter_documents()] == ["old"]


def test_of_two_documents_with_one_id_a_policy_says_which_stays(
    store: VecbridgeDocumentStore,
) -> None:
    twice = [Document(id="a", content="first"), Document(id="a", content="second")]

    assert store.write_documents(twice, DuplicatePolicy.SKIP) == 1
    assert store.filter_documents()[0].content == "first"
    assert store.write_documents(twice, DuplicatePolicy.OVERWRITE) == 2
    assert store.filter_documents()[0].content == "second"
    assert store.write_documents([]) == 0


def test_a_pipeline_retrieves_and_comes_back_from_its_text(tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "records")}
    opened = VecbridgeDocumentStore(
        "docs", dimension=2, backend="sklearn", settings=place, fields=FIELDS
    )
    opened.write_documents(
        [
            Document(content="x", meta={"number": 1}, embedding=[1.0, 0.0]),
            Document(content="y", meta={"number": 2}, embedding=[0.0, 1.0]),
        ]
    )
    only = {"field": "meta.number", "operator": "==", "value": 2}
    pipeline = Pipeline()
    pipeline.add_component("retriever", VecbridgeEmbeddingRetriever(opened, filters=only, top_k=5))

    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["vecbridge.haystack"])
    found = again.run({"retriever": {"query_embedding": [1.0, 0.0]}})["retriever"]["documents"]

    assert [each.content for each in found] == ["y"]
    assert again.dumps() == pipeline.dumps()
    assert "vecbridge.haystack._" not in pipeline.dumps()


def test_a_retriever_is_awaited() -> None:
    retriever = VecbridgeEmbeddingRetriever(places(), top_k=1, return_embedding=True)

    answer = asyncio.run(retriever.run_async([0.0, 2.0]))

    assert answer == retriever.run([0.0, 2.0])
    assert answer["documents"][0].embedding == [0.0, 1.0]


def test_secrets_are_named_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE_OF_A_TOKEN", "hunter2")
    settings = {"uri": "http://host:19530", "token": Secret.from_env_var("PLACE_OF_A_TOKEN")}
    opened = VecbridgeDocumentStore("docs", dimension=2, backend="milvus", settings=settings)

    written = opened.to_dict()
    again = VecbridgeDocumentStore.from_dict(json.loads(json.dumps(written)))

    assert "hunter2" not in json.dumps(written)
    assert again.to_dict() == written


@pytest.mark.parametrize(
    "settings",
    [
        {"uri": "http://host:19530", "token": "hunter2"},
        {"uri": "http://me:hunter2@host:19530"},
        {"uri": "http://host:19530", "token": Secret.from_token("hunter2")},
    ],
)
def test_a_secret_in_plain_text_is_not_written(settings: dict[str, Any]) -> None:
    opened = VecbridgeDocumentStore("docs", dimension=2, backend="milvus", settings=settings)

    with pytest.raises((ConfigurationError, ValueError)) as caught:
        opened.to_dict()
    assert "hunter2" not in str(caught.value)


def test_a_store_that_was_closed_connects_again(tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "records")}
    opened = VecbridgeDocumentStore("docs", dimension=2, backend="sklearn", settings=place)

    opened.write_documents([Document(content="x")])
    opened.close()

    assert opened.count_documents() == 1
    assert asyncio.run(opened.count_documents_async()) == 1
    opened.close()
