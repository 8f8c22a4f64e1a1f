"""Indexes of a real Redis: what is in them, what searches are worth, and what ends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import redis

from tests.live.redis.conftest import Opener
from vecbridge import (
    BackendError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    field,
)
from vecbridge.diagnosis import diagnose


def ask(client: redis.Redis, *command: Any) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def configured(client: redis.Redis, **options: str) -> Iterator[None]:
    """Change how the search module is configured, for a while."""
    before = {key: ask(client, "FT.CONFIG", "GET", key)[key.encode()] for key in options}
    for key, value in options.items():
        ask(client, "FT.CONFIG", "SET", key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            ask(client, "FT.CONFIG", "SET", key, value)


def test_a_server_that_gives_its_searches_no_time_still_answers_exactly(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((20_000, 16)).astype(np.float32)
    index = opened().create_index(
        name, dimension=16, metric="euclidean", fields={"size": "integer"}
    )
    ids = [str(row) for row in range(len(vectors))]
    index.upsert(ids, vectors, {"size": [*range(len(vectors))]})
    query = vectors[7] + np.float32(0.25)
    nearest = np.argsort(np.linalg.norm(vectors.astype(float) - query.astype(float), axis=1))
    with configured(raw, TIMEOUT="1", ON_TIMEOUT="return"):
        (hits,) = index.search(query, k=10)
        assert hits.ids == tuple(str(row) for row in nearest[:10])
        assert hits.exact
        assert index.count(where=field("size") >= 0) == len(vectors)


def test_a_server_that_lists_too_little_is_told_apart(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    index = opened().create_index(name, dimension=2, metric="cosine")
    index.upsert(["a"], [[1, 2]])
    with (
        configured(raw, MAXSEARCHRESULTS="5"),
        pytest.raises(BackendError, match="MAXSEARCHRESULTS"),
    ):
        index.search([1, 2], k=1)


def test_what_numeric_rounds_is_kept_beside_it(opened: Opener, raw: redis.Redis, name: str) -> None:
    index = opened().create_index(
        name, dimension=2, metric="cosine", fields={"size": "integer", "label": "string?"}
    )
    sizes = [2**53, 2**53 + 1, 2**53 - 1, -(2**63), 2**63 - 1]
    index.upsert(
        [str(row) for row in range(5)], np.eye(5, 2) + 1, {"size": sizes, "label": ["x"] * 5}
    )
    assert index.fetch(["1", "4"]).fields["size"] == [2**53 + 1, 2**63 - 1]
    for size in sizes:
        for wanted in (size - 1, size, size + 1):
            condition = field("size") <= wanted
            assert index.count(where=condition) == sum(each <= wanted for each in sizes)
            assert index.count(where=field("size") == wanted) == sizes.count(wanted)
    (key,) = raw.scan_iter(match=f"*{name}*:1", count=10_000)
    held = raw.hgetall(key)
    assert held[b"size"] == b"9007199254740993"
    assert held[b"size.rest"] == b"1"


def test_an_index_that_was_dropped_takes_no_records(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    store = opened()
    index = store.create_index(name, dimension=2, metric="cosine")
    index.upsert(["a"], [[1, 2]])
    # As another program does that keeps the hashes.
    ask(raw, "FT.DROPINDEX", name)
    for again in (False, True):
        if again:
            assert opened().create_index(name, dimension=2, metric="cosine").count() == 0
        for call in (
            lambda: index.upsert(["b"], [[1, 2]]),
            lambda: index.fetch(["a"]),
            lambda: index.search([1, 2], k=1),
            index.count,
        ):
            with pytest.raises(IndexNotFoundError, match="dropped"):
                call()
    assert store.open_index(name).count() == 0
    assert not [*raw.scan_iter(match=f"*{name}*:b", count=10_000)]


def test_a_name_of_another_program_is_taken(opened: Opener, raw: redis.Redis, name: str) -> None:
    ask(raw, "FT.CREATE", name, "PREFIX", 1, f"{name}:", "SCHEMA", "x", "NUMERIC")
    with pytest.raises(IndexExistsError):
        opened().create_index(name, dimension=2, metric="cosine")
    assert name not in opened().index_names()
    with pytest.raises(IndexNotFoundError):
        opened().open_index(name)


def test_more_fields_than_redis_takes_are_refused(opened: Opener, name: str) -> None:
    fields: Any = {f"f{number}": "float" for number in range(1100)}
    with pytest.raises(InvalidArgumentError, match="1024"):
        opened().create_index(name, dimension=2, metric="cosine", fields=fields)
    assert name not in opened().index_names()


def test_a_server_without_memory_refuses_all_of_a_write(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    index = opened().create_index(name, dimension=2, metric="cosine", fields={"label": "string"})
    index.upsert(["a"], [[1, 2]], {"label": ["old"]})
    raw.config_set("maxmemory", "1")
    try:
        with pytest.raises(BackendError, match="maxmemory") as caught:
            index.upsert(["a", "b"], [[2, 1], [1, 1]], {"label": ["hidden", "hidden"]})
    finally:
        raw.config_set("maxmemory", "0")
    assert "hidden" not in f"{caught.value} {caught.value.__cause__}"
    assert index.fetch(["a", "b"]).fields == {"label": ["old"]}


def test_what_the_server_promises_is_declared(
    opened: Opener, raw: redis.Redis, name: str, redis_uri: str
) -> None:
    store = opened()
    assert store.create_index(name, dimension=2, metric="cosine").capabilities.durable
    raw.config_set("appendfsync", "everysec")
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert not store.open_index(name).capabilities.durable
        found = {each.check: each for each in diagnose("redis", uri=redis_uri, write=False)}
    finally:
        raw.config_set("appendfsync", "always")
        raw.config_set("maxmemory-policy", "noeviction")
    assert found["durability"].status == "warning"
    assert "allkeys-lru" in found["memory"].found


def test_hnsw_finds_what_its_recall_says(opened: Opener, name: str) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((1500, 24)).astype(np.float32)
    index = opened(algorithm="hnsw", recall=0.9).create_index(
        name, dimension=24, metric="cosine", fields={"size": "integer"}
    )
    index.upsert([str(row) for row in range(1500)], vectors, {"size": [*range(1500)]})
    assert index.capabilities.recall == 0.9
    queries = vectors[:40] + np.float32(0.05)
    exact = index.search(queries, k=10, ranking="certified")
    found = index.search(queries, k=10)
    shares = [len({*a.ids} & {*b.ids}) / 10 for a, b in zip(found, exact, strict=True)]
    assert np.mean(shares) >= 0.9
    assert all(hits.exact for hits in exact)
    few = index.search(queries[:1], k=5, where=field("size") < 5)[0]
    assert len(few.ids) == 5
