"""What happens to a Redis under an open handle, and records that another program spoilt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

import vecbridge
from tests.live.redis.conftest import Opener
from tests.servers.redis import running_redis
from vecbridge import (
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    field,
)
from vecbridge.diagnosis import diagnose


def ask(client: redis.Redis, *command: Any) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def test_an_alias_is_no_index(opened: Opener, raw: redis.Redis, name: str) -> None:
    store, alias = opened(), f"{name}_alias"
    index = store.create_index(name, dimension=2, metric="cosine")
    index.upsert(["a"], [[1, 2]])
    ask(raw, "FT.ALIASADD", alias, name)
    for given in (store, opened(index_names={alias: alias})):
        with pytest.raises(IndexNotFoundError):
            given.open_index(alias)
        with pytest.raises(IndexNotFoundError):
            given.drop_index(alias)
    assert index.fetch(["a"]).ids == ("a",)


@pytest.mark.parametrize("given", [{"db": 1}, {"uri": "redis://127.0.0.1:1/1"}])
def test_a_database_that_is_not_searched_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="database 0 alone"):
        vecbridge.get_backend("redis", **given)


def test_no_answer_is_given_of_an_index_that_is_gone(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    fields: Any = {"label": "string"}
    index = opened().create_index(name, dimension=2, metric="cosine", fields=fields)
    index.upsert(["a"], [[1, 2]], {"label": ["x"]})
    ask(raw, "FT.DROPINDEX", name, "DD")
    begins = field("label").starts_with("x")
    calls: dict[str, Callable[[], Any]] = {
        "search": lambda: index.search([1, 2], k=1),
        "several": lambda: index.search([[1, 2], [2, 1]], k=1),
        "everything": lambda: index.search([1, 2], k=None),
        "scan": lambda: list(index.scan(10)),
        "partitions": lambda: index.partitions(2),
        "count": lambda: index.count(where=begins),
        "delete": lambda: index.delete(where=begins),
        "delete by id": lambda: index.delete(["a"]),
        "range": lambda: list(index.range_search([1, 2], radius=0.5)),
        "contains": lambda: index.contains(["a"]),
    }
    for again in (False, True):
        if again:
            opened().create_index(name, dimension=2, metric="cosine", fields=fields)
        for what, call in calls.items():
            with pytest.raises(IndexNotFoundError, match="dropped"):
                pytest.fail(f"{what}: {call()}")


def test_a_primary_that_became_a_replica_is_not_read_as_one() -> None:
    with (
        running_redis() as server,
        server.client() as client,
        vecbridge.get_backend("redis", uri=server.uri, retry_timeout=0) as store,
    ):
        index = store.create_index("failover", dimension=2, metric="cosine")
        index.upsert(["a"], [[1, 2]])
        # Of a primary that is away, so that it keeps what it has.
        ask(client, "REPLICAOF", "127.0.0.1", 1)
        for call in (
            lambda: index.search([1, 2], k=1),
            lambda: index.fetch(["a"]),
            lambda: list(index.scan(10)),
            index.count,
        ):
            with pytest.raises(ConnectionFailedError, match="become a replica"):
                call()
        again = store.open_index("failover")
        assert again.capabilities.consistency == {"eventual"}
        ask(client, "REPLICAOF", "NO", "ONE")
        assert index.search([1, 2], k=1)[0].ids == ("a",)


def test_an_effort_that_is_given_promises_no_recall(opened: Opener, name: str) -> None:
    store = opened(algorithm="hnsw", hnsw_ef_runtime=1)
    assert store.create_index(name, dimension=2, metric="cosine").capabilities.recall is None


FIELDS: Any = {"n": "integer?", "t": "string?", "l": "strings?", "b": "boolean?"}
RECORD: Any = {"n": [1], "t": ["x"], "l": [["q"]], "b": [True]}


@pytest.mark.parametrize(
    ("key", "value"),
    [("n", b"two"), ("t", b"\xff"), ("l", b"5"), ("l", b"["), ("b", b"true"), (".vector", b"123")],
)
def test_what_another_program_spoilt_is_named(
    opened: Opener, raw: redis.Redis, name: str, key: str, value: bytes
) -> None:
    index = opened().create_index(name, dimension=2, metric="cosine", fields=FIELDS)
    index.upsert(["spoilt"], [[1, 2]], RECORD)
    (held,) = raw.scan_iter(match=f"*{name}*:spoilt", count=10_000)
    raw.hset(held, key, value)
    said = "vector" if key == ".vector" else repr(key)
    for call in (
        lambda: index.fetch(["spoilt"]),
        lambda: list(index.scan(9)),
        lambda: index.search([1, 2], k=1, fields=["n", "t", "l", "b"]),
    ):
        with pytest.raises(CorruptStoreError, match=":spoilt") as caught:
            call()
        assert said in str(caught.value) or "no search finds it" in str(caught.value)
        assert caught.value.__context__ is None
    index.upsert(["spoilt"], [[1, 2]], RECORD)
    assert index.search([1, 2], k=1, fields=["n"])[0].ids == ("spoilt",)


def test_a_record_that_was_not_indexed_is_not_left_out(
    opened: Opener, raw: redis.Redis, name: str, redis_uri: str
) -> None:
    index = opened().create_index(name, dimension=2, metric="cosine", fields=FIELDS)
    index.upsert(
        ["spoilt", "good"], [[1, 2], [2, 1]], {key: value * 2 for key, value in RECORD.items()}
    )
    (held,) = raw.scan_iter(match=f"*{name}*:spoilt", count=10_000)
    raw.hset(held, ".norm", "abc")
    for call in (
        index.count,
        lambda: index.search([1, 2], k=2),
        lambda: index.count(where=field("n").is_missing()),
    ):
        with pytest.raises(CorruptStoreError, match=r":spoilt.*no search finds it"):
            call()
    assert index.fetch(["good"]).ids == ("good",)
    findings = {each.check: each for each in diagnose("redis", uri=redis_uri, write=False)}
    assert findings[f"index {name}"].status == "warning"
    assert "could not be indexed" in findings[f"index {name}"].advice
    index.delete(["spoilt"])
    assert index.search([1, 2], k=2)[0].ids == ("good",)
    raw.set(held, "no hash")
    with pytest.raises(CorruptStoreError, match=r":spoilt.*is no hash"):
        list(index.scan(9))
