"""``vecbridge.langchain.VectorStore``: filters, scores, diversity, batches, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from tests.heartbeat import attempts, is_free
from vecbridge import (
    AsyncStore,
    DimensionError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidInputError,
    Metric,
    SchemaMismatchError,
    Store,
    UnsupportedError,
    field,
    get_backend,
)
from vecbridge.langchain import VectorStore

EMBEDDING = DeterministicFakeEmbedding(size=8)
FIELDS: Any = {"year": "integer?", "genre": "string?", "score": "float?", "read": "boolean?"}
METADATA: list[dict[str, Any]] = [
    {"year": 1999, "genre": "novel", "score": 0.5, "read": True},
    {"year": 2010, "genre": "essay", "score": 1, "nested": {"deep": [1, None, "x"]}},
    {"year": 2010, "read": False, "genre": None},
    {"genre": "novel", "score": -1.5},
    {},
]


@pytest.fixture
def store() -> Iterator[Store]:
    with get_backend("sklearn") as opened:
        yield opened


@pytest.fixture
def books(store: Store) -> VectorStore:
    found = VectorStore(store, "books", EMBEDDING, fields=FIELDS)
    found.add_texts([f"book {n}" for n in range(5)], METADATA, ids=list("abcde"))
    return found


class Places(Embeddings):
    """Embeds a text as the numbers in it, and remembers how it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(part) for part in text.split()]


def ids(found: list[Document]) -> set[str | None]:
    return {document.id for document in found}


def found_by(books: VectorStore, where: Any) -> set[str | None]:
    return ids(books.similarity_search("book", k=10, filter=where))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"year": 2010}, "bc"),
        ({"year": {"$eq": 2010}, "read": False}, "c"),
        ({"year": {"$ne": 2010}}, "ade"),
        ({"year": {"$gt": 1999, "$lte": 2010}}, "bc"),
        ({"score": {"$gte": 0.5}}, "ab"),
        ({"score": {"$lt": 0}}, "d"),
        ({"genre": {"$in": ["novel", "essay"]}}, "abd"),
        ({"genre": {"$nin": ["novel"]}}, "bce"),
        ({"genre": {"$in": ["essay", None]}}, "bce"),
        ({"genre": None}, "ce"),
        ({"year": {"$exists": False}}, "de"),
        ({"year": {"$exists": True}}, "abc"),
        ({"$or": [{"year": 1999}, {"score": -1.5}]}, "ad"),
        ({"$and": [{"year": 2010}, {"$not": {"genre": "essay"}}]}, "c"),
        ({"year": {"$not": {"$gt": 2000}}}, "ade"),
        ({"year": {"$gt": None}}, ""),
        ({}, "abcde"),
        (None, "abcde"),
        ((field("year") == 2010) & ~field("genre").is_missing(), "b"),
    ],
)
def test_a_filter_means_what_it_says(books: VectorStore, where: Any, expected: str) -> None:
    assert found_by(books, where) == set(expected)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (lambda _: True, "a filter is a dict"),
        ("year == 2010", "a filter is a dict"),
        ({"author": "Woolf"}, "keeps no field for it"),
        ({"document_text": "book 1"}, "keeps no field for it"),
        ({"nested.deep": 1}, "keeps no field for it"),
        ({"year": {"$regex": "2"}}, "has no meaning here"),
        ({"year": {"$in": 2010}}, "has no meaning here"),
        ({"year": {"$exists": 1}}, "has no meaning here"),
        ({"$nor": [{"year": 2010}]}, "keeps no field for it"),
        ({"$or": []}, "joins no conditions"),
        ({"$or": {"year": 2010}}, "takes a list"),
        ({"year": {}}, "joins no conditions"),
        ({"year": "2010"}, "holds integer values"),
        ({"year": {"$ne": "2010"}}, "holds integer values"),
    ],
)
def test_a_filter_without_a_translation_is_refused_whole(
    books: VectorStore, where: Any, reason: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        books.similarity_search("book", filter=where)
    with pytest.raises(InvalidArgumentError, match=reason):
        books.delete(filter={"$and": [{"year": 2010}, where]} if isinstance(where, dict) else where)
    assert books.index.count() == 5


def test_metadata_comes_back_as_it_was(books: VectorStore) -> None:
    found = books.get_by_ids(["e", "d", "c", "b", "a", "missing"])

    assert [each.metadata for each in found] == METADATA[::-1]
    assert [type(each.metadata.get("score")) for each in found][3] is int


def test_what_json_cannot_hold_is_refused_before_anything_is_written(books: VectorStore) -> None:
    for bad in ({"x": float("nan")}, {"x": object()}, {"x": {1: 2}}, {"year": "soon"}):
        with pytest.raises(InvalidInputError):
            books.add_texts(["new", "bad"], [{}, bad], ids=["new", "bad"])

    assert books.index.count() == 5


def test_tuples_come_back_as_lists(books: VectorStore) -> None:
    books.add_texts(["t"], [{"box": (1, (2, 3))}], ids=["t"])

    assert books.get_by_ids(["t"])[0].metadata == {"box": [1, [2, 3]]}


def test_a_timestamp_is_text_in_the_metadata_and_a_time_in_filters(store: Store) -> None:
    found = VectorStore(store, "notes", EMBEDDING, fields={"at": "timestamp?"})
    texts = {"a": "2024-01-01T10:00:00", "b": "2024-01-01T10:00:00+02:00", "c": "2024-06-01T00:00Z"}
    found.add_texts(list(texts), [{"at": at} for at in texts.values()], ids=list(texts))

    assert found_by(found, {"at": {"$lt": "2024-01-01T09:00:00Z"}}) == {"b"}
    assert found_by(found, {"at": "2024-01-01T10:00:00+00:00"}) == {"a"}
    assert [each.metadata["at"] for each in found.get_by_ids(list(texts))] == [*texts.values()]
    with pytest.raises(InvalidArgumentError, match="no time in ISO 8601"):
        found.add_texts(["d"], [{"at": "tomorrow"}])


@pytest.mark.parametrize(
    "time", ["2024-01-01T10:00:00.0000001Z", "2024-01-01T10:00:00,123456789+02:00"]
)
def test_a_time_finer_than_a_microsecond_is_refused_and_not_cut(store: Store, time: str) -> None:
    found = VectorStore(store, "notes", EMBEDDING, fields={"at": "timestamp?"})
    found.add_texts(["whole"], [{"at": "2024-01-01T10:00:00Z"}], ids=["whole"])

    with pytest.raises(InvalidArgumentError, match=r"'at' .* microseconds.*more digits"):
        found.add_texts(["fine"], [{"at": time}], ids=["fine"])
    assert found.get_by_ids(["fine"]) == []
    for given in ({"at": time}, {"at": {"$in": [time]}}, {"at": {"$lt": time}}):
        with pytest.raises(InvalidArgumentError, match="more digits"):
            found_by(found, given)


def placed(store: Store, metric: Metric, **options: Any) -> VectorStore:
    found = VectorStore(store, "places", Places(), metric=metric, dimension=2, **options)
    found.add_texts(["3 4", "0 1", "-3 -4"], ids=["near", "side", "back"])
    return found


@pytest.mark.parametrize(
    ("metric", "distances", "relevances"),
    [
        ("cosine", [0.0, 0.2, 2.0], [1.0, 0.8, 0.0]),
        ("euclidean", [0.0, np.sqrt(18), 10.0], [1.0, 1 / (1 + np.sqrt(18)), 1 / 11]),
    ],
)
def test_scores_are_distances_and_relevances_lie_between_0_and_1(
    store: Store, metric: Metric, distances: list[float], relevances: list[float]
) -> None:
    found = placed(store, metric)

    scored = found.similarity_search_with_score("3 4", k=3)
    relevant = found.similarity_search_with_relevance_scores("3 4", k=3)

    assert [document.id for document, _ in scored] == ["near", "side", "back"]
    assert [score for _, score in scored] == pytest.approx(distances, abs=1e-12)
    assert [score for _, score in relevant] == pytest.approx(relevances, abs=1e-12)
    assert all(0.0 <= score <= 1.0 for _, score in relevant)


def test_an_inner_product_has_a_distance_and_no_relevance(store: Store) -> None:
    found = placed(store, "dotproduct")

    assert [score for _, score in found.similarity_search_with_score("3 4", k=2)] == [-25.0, -4.0]
    with pytest.raises(UnsupportedError, match="relevance_score_fn"):
        found.similarity_search_with_relevance_scores("3 4")


def test_the_caller_can_say_what_relevance_is(store: Store) -> None:
    found = placed(store, "dotproduct", relevance_score_fn=lambda distance: -distance / 25)

    retriever = found.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.1, "k": 2}
    )
    assert [document.id for document in retriever.invoke("3 4")] == ["near", "side"]


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.5, 1.0])
def test_diversity_is_langchains_own(store: Store, balance: float) -> None:
    random_state = np.random.default_rng(7)
    vectors = random_state.standard_normal((40, 8)).astype(np.float32)
    texts = [" ".join(map(str, row)) for row in vectors.tolist()]
    found = VectorStore(store, "many", Places(), metric="cosine", dimension=8)
    found.add_texts(texts, ids=[f"{n:02}" for n in range(40)])
    query = vectors[3] + 0.1

    chosen = found.max_marginal_relevance_search_by_vector(
        query.tolist(), k=6, fetch_k=15, lambda_mult=balance
    )

    near = [int(each.id or "") for each in found.similarity_search_by_vector(query.tolist(), k=15)]
    theirs = maximal_marginal_relevance(query, vectors[near].tolist(), balance, k=6)
    assert [int(each.id or "") for each in chosen] == [near[row] for row in theirs]


def test_diversity_takes_filters_and_texts(books: VectorStore) -> None:
    found = books.max_marginal_relevance_search("book", k=5, filter={"year": 2010})

    assert ids(found) == {"b", "c"}
    assert books.as_retriever(search_type="mmr", search_kwargs={"k": 3}).invoke("book 1")[0].id


def test_texts_are_embedded_in_batches_and_written_at_once(store: Store) -> None:
    model = Places()
    found = VectorStore(store, "places", model, dimension=2, metric="euclidean")

    made = found.add_texts((f"{n} 0" for n in range(10)), batch_size=4)

    assert model.batches == [4, 4, 2]
    assert len(set(made)) == 10 == found.index.count()


def test_nothing_is_written_where_one_text_cannot_be(store: Store) -> None:
    found = VectorStore(store, "places", Places(), dimension=2, metric="euclidean")

    with pytest.raises(DimensionError):
        found.add_texts(["1 2", "1"], batch_size=1)
    with pytest.raises(InvalidArgumentError, match="one id and one metadata per text"):
        found.add_texts(["1 2"], ids=["a", "b"])
    with pytest.raises(InvalidArgumentError, match="'namespace'"):
        found.add_texts(["1 2"], namespace="x")
    assert found.index.count() == 0
    assert found.add_texts([]) == []


def test_delete_needs_to_be_told_what(books: VectorStore) -> None:
    with pytest.raises(InvalidIdError):
        books.delete()
    with pytest.raises(InvalidIdError, match="ids or filter="):
        books.delete(filter={})
    with pytest.raises(InvalidArgumentError, match="both"):
        books.delete(["a"], filter={"year": 2010})
    with pytest.raises(InvalidArgumentError, match="'delete_all'"):
        books.delete(delete_all=True)
    assert books.index.count() == 5

    assert books.delete(filter={"year": 2010})
    assert books.index.count() == 3


def test_an_unknown_argument_of_a_search_is_refused(books: VectorStore) -> None:
    with pytest.raises(TypeError, match="score_treshold"):
        books.similarity_search("book", score_treshold=0.5)
    with pytest.raises(TypeError, match="where"):
        books.similarity_search("book", filter={"year": 2010}, where=field("year") == 1999)


def test_an_index_that_was_not_made_for_documents_is_refused(store: Store) -> None:
    store.create_index("plain", dimension=8)

    with pytest.raises(SchemaMismatchError, match="not made for documents"):
        VectorStore(store, "plain", EMBEDDING)
    with pytest.raises(InvalidArgumentError, match="document_text"):
        VectorStore(store, "new", EMBEDDING, fields={"document_text": "string"})
    assert store.index_names() == ["plain"]


def test_an_index_is_opened_again_as_it_was(books: VectorStore, store: Store) -> None:
    again = VectorStore(store, "books", EMBEDDING)

    assert found_by(again, {"year": 2010}) == {"b", "c"}
    with pytest.raises(SchemaMismatchError):
        VectorStore(store, "books", EMBEDDING, fields={"year": "string"})
    with pytest.raises(SchemaMismatchError):
        VectorStore(store, "books", DeterministicFakeEmbedding(size=9))


def test_langchains_indexing_finds_its_way(books: VectorStore) -> None:
    manager = InMemoryRecordManager("books")
    manager.create_schema()
    documents = [Document(page_content=text, metadata={"source": "s"}) for text in ("x", "y")]

    index(documents, manager, books, cleanup="full", source_id_key="source", key_encoder="sha256")
    left = index(
        documents[:1], manager, books, cleanup="full", source_id_key="source", key_encoder="sha256"
    )

    assert (left["num_skipped"], left["num_deleted"]) == (1, 1)
    assert books.index.count() == 6


def test_documents_are_read_from_texts_awaited_or_not(store: Store) -> None:
    options: dict[str, Any] = {"store": store, "fields": FIELDS, "metric": "cosine"}
    documents = [Document(id="a", page_content="x", metadata={"year": 1}), Document("y")]

    plain = VectorStore.from_documents(documents, EMBEDDING, index_name="plain", **options)
    made = asyncio.run(
        VectorStore.afrom_documents(documents, EMBEDDING, index_name="awaited", **options)
    )

    assert plain.get_by_ids(["a"]) == made.get_by_ids(["a"]) == documents[:1]
    assert plain.index.count() == made.index.count() == 2


def test_every_awaited_method_gives_the_plain_answer(books: VectorStore) -> None:
    async def awaited() -> list[Any]:
        return [
            await books.asimilarity_search("book 1", k=3, filter={"year": 2010}),
            await books.asimilarity_search_with_score("book 1", k=3),
            await books.asimilarity_search_by_vector(EMBEDDING.embed_query("book 1"), k=3),
            await books.asimilarity_search_with_relevance_scores("book 1", k=3),
            await books.amax_marginal_relevance_search("book 1", k=3),
            await books.aget_by_ids(["b", "a"]),
            await books.as_retriever(search_kwargs={"k": 2}).ainvoke("book 1"),
        ]

    assert asyncio.run(awaited()) == [
        books.similarity_search("book 1", k=3, filter={"year": 2010}),
        books.similarity_search_with_score("book 1", k=3),
        books.similarity_search_by_vector(EMBEDDING.embed_query("book 1"), k=3),
        books.similarity_search_with_relevance_scores("book 1", k=3),
        books.max_marginal_relevance_search("book 1", k=3),
        books.get_by_ids(["b", "a"]),
        books.as_retriever(search_kwargs={"k": 2}).invoke("book 1"),
    ]


def test_the_answers_are_those_of_langchains_own_store(books: VectorStore) -> None:
    theirs = InMemoryVectorStore(EMBEDDING)
    theirs.add_texts([f"book {n}" for n in range(5)], METADATA, ids=list("abcde"))

    for query in ("book 1", "something else"):
        ours = books.similarity_search_with_score(query, k=5)
        expected = theirs.similarity_search_with_score(query, k=5)
        assert [document for document, _ in ours] == [document for document, _ in expected]
        assert [1 - score for _, score in ours] == pytest.approx([s for _, s in expected])


def test_the_loop_is_free_while_a_search_is_awaited() -> None:
    vectors = np.random.default_rng(0).standard_normal((20_000, 64), dtype=np.float32)

    async def main() -> list[tuple[float, float]]:
        async with AsyncStore(get_backend("sklearn"), readers=2) as store:
            model = DeterministicFakeEmbedding(size=64)
            found = VectorStore(store, "many", model)
            names = [str(n) for n in range(len(vectors))]
            columns = {"document_text": names, "document_json": ["{}"] * len(names)}
            found.index.upsert(names, vectors, columns)
            return await attempts(
                lambda: asyncio.gather(*(found.asimilarity_search(f"q {n}") for n in range(50)))
            )

    assert is_free(*asyncio.run(main())[-1])
