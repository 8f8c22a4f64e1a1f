"""Everything works, if slower, with a pymilvus of which only the public names are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymilvus
import pytest
from pymilvus import MilvusClient

from tests.servers.milvus_wire import Wire
from vecbridge import Store, field


class Public:
    """A client without what its names say is private, in what it returns too."""

    def __init__(self, **options: Any) -> None:
        self.inner = MilvusClient(**options)
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            self.refused.add(name)
            raise AttributeError(name)
        return getattr(self.inner, name)

    def query(self, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.inner.query(*arguments, **options)]


def test_nothing_depends_on_private_names(
    opened: Callable[..., Store], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Public] = []

    def client(**options: Any) -> Public:
        made.append(Public(**options))
        return made[-1]

    monkeypatch.setattr(pymilvus, "MilvusClient", client)
    vectors = np.random.default_rng(4).standard_normal((50, 3)).astype(np.float32)
    ids = [f"a'{number:02}" for number in range(50)]
    store = opened()
    index = store.create_index(
        "public", dimension=3, metric="euclidean", fields={"n": "integer", "tags": "strings?"}
    )
    tags = [None if number % 3 else [str(number)] for number in range(50)]
    index.upsert(ids, vectors, {"n": list(range(50)), "tags": tags})
    assert "_get_connection" in made[0].refused
    fetched = index.fetch(ids)
    np.testing.assert_array_equal(fetched.vectors, vectors)
    assert fetched.fields == {"n": list(range(50)), "tags": tags}
    (hits,) = index.search(vectors[7], 5, where=field("n") < 20)
    assert hits.ids[0] == ids[7]
    assert hits.exact
    assert sum(len(part) for part in index.scan(7)) == 50
    index.delete(ids[:10])
    assert index.count() == 40
    store.drop_index("public")
