"""Indexes that FiftyOne and redis-py made: opened, read, searched, written, or refused by name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import redis

from tests.live.redis.conftest import Opener
from vecbridge import IndexNotFoundError, SchemaMismatchError, UnsupportedError, field
from vecbridge.diagnosis import diagnose

VECTORS = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)


def ask(client: redis.Redis, *command: Any) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def vector(identifier: str, kind: str = "FLOAT32", algorithm: str = "FLAT") -> list[Any]:
    options = ["TYPE", kind, "DIM", 3, "DISTANCE_METRIC", "COSINE"]
    return [identifier, "AS", "vector", "VECTOR", algorithm, len(options), *options]


def made_by_fiftyone(raw: redis.Redis, name: str) -> None:
    """Make an index as FiftyOne's own adapter does."""
    tags = ["$.foid", "AS", "foid", "TAG", "$.sample_id", "AS", "sample_id", "TAG"]
    schema = [*tags, *vector("$.vector")]
    ask(raw, "FT.CREATE", name, "ON", "JSON", "PREFIX", 1, f"{name}:", "SCHEMA", *schema)
    for row, each in enumerate(VECTORS):
        document = {"foid": str(row), "sample_id": f"s{row}", "vector": each.tolist()}
        ask(raw, "JSON.SET", f"{name}:{row}", "$", json.dumps(document))


def test_an_index_of_fiftyone_is_one_of_ours(opened: Opener, raw: redis.Redis, name: str) -> None:
    search = f"{name}-of-fiftyone"
    made_by_fiftyone(raw, search)
    raw.set(f"{search}:note", "no record")
    store = opened(index_names={name: search})
    assert name in store.index_names()
    index = store.open_index(name)
    assert (index.info.dimension, index.info.metric) == (3, "cosine")
    assert dict(index.info.fields) == {"sample_id": "string?"}
    assert index.count() == 6
    found = index.fetch(["4", "x", "1"])
    assert found.missing == ("x",)
    assert (found.vectors == VECTORS[[4, 1]]).all()
    assert found.fields == {"sample_id": ["s4", "s1"]}
    assert sorted(each for batch in index.scan(4) for each in batch.ids) == list("012345")

    for ranking in ("exact", "certified"):
        (hits,) = index.search(VECTORS[2], k=2, ranking=ranking)
        assert hits.ids[0] == "2"
        # Whether a search misses something is not known of an index without lengths.
        assert hits.exact == (ranking == "certified")
    assert index.search(VECTORS[2], k=9, where=field("sample_id") == "s3")[0].ids == ("3",)
    assert index.search(VECTORS[2], k=9, within=["5"])[0].ids == ("5",)

    index.upsert(["1", "new"], VECTORS[:2], {"sample_id": ["t1", None]})
    index.delete(["0"])
    read = json.loads(ask(raw, "JSON.GET", f"{search}:1"))
    assert read == {"foid": "1", "sample_id": "t1", "vector": VECTORS[0].tolist()}
    assert index.search(VECTORS[0], k=1)[0].ids == ("1",)
    assert index.count() == 6
    store.drop_index(name)
    assert raw.exists(f"{search}:1") == 0


def test_hashes_of_another_program_keep_what_they_have(
    opened: Opener, raw: redis.Redis, name: str
) -> None:
    schema = ["tag", "TAG", "price", "NUMERIC", *vector("vec", algorithm="HNSW")]
    ask(raw, "FT.CREATE", name, "PREFIX", 1, f"{name}[1]:", "SCHEMA", *schema)
    for row, each in enumerate(VECTORS):
        held: Any = {"tag": "Openai, X", "price": 3, "vec": each.tobytes()}
        raw.hset(f"{name}[1]:{row}", mapping=held)
    raw.hset(f"{name}[1]:short", mapping={"tag": "x", "vec": b"123"})
    index = opened().open_index(name)
    assert dict(index.info.unsupported) == {"price": "NUMERIC"}
    assert index.count() == 6
    assert index.fetch(["3"]).fields == {"tag": ["Openai, X"]}
    with pytest.raises(UnsupportedError, match="price"):
        index.upsert(["3"], VECTORS[:1], {"tag": [None]})
    index.upsert(["3"], VECTORS[:1], {"tag": [None]}, drop_unsupported=True)
    assert raw.hkeys(f"{name}[1]:3") == [b"price", b"vec"]
    assert index.count(where=field("tag").is_missing()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["PREFIX", 1, "{name}:", "SCHEMA", *vector("v", kind="FLOAT64")], "FLOAT32"),
        (["PREFIX", 2, "{name}:", "{name}2:", "SCHEMA", *vector("v")], "one prefix"),
        (["SCHEMA", *vector("v")], "one prefix"),
        (["PREFIX", 1, "{name}:", "FILTER", "@x > 1", "SCHEMA", *vector("v")], "FILTER"),
        (["ON", "JSON", "PREFIX", 1, "{name}:", "SCHEMA", *vector("$.a.b")], "at the top"),
    ],
)
def test_what_cannot_be_an_index_is_refused_by_name(
    opened: Opener, raw: redis.Redis, name: str, given: list[Any], said: str, redis_uri: str
) -> None:
    words = [each.format(name=name) if isinstance(each, str) else each for each in given]
    ask(raw, "FT.CREATE", name, *words)
    store = opened()
    with pytest.raises(SchemaMismatchError, match=said):
        store.open_index(name)
    with pytest.raises(SchemaMismatchError, match=said):
        store.drop_index(name)
    findings = diagnose("redis", uri=redis_uri, write=False)
    assert any(each.found == "it cannot be opened" for each in findings)
    with pytest.raises(IndexNotFoundError):
        store.open_index(f"{name}_none")
