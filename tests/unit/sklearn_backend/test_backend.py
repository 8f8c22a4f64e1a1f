"""Where the reference keeps its records, and what it claims of that."""

from __future__ import annotations

from pathlib import Path

from tests.adversarial import make
from vecbridge import get_backend


def test_an_index_is_the_same_after_reopening(tmp_path: Path) -> None:
    data = make("gaussian", 16, count=100)
    with get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("t", dimension=16, metric="dotproduct")
        index.upsert(data.ids, data.vectors)
        before = index.search(data.queries, 5)
        assert index.capabilities.durable
        assert index.capabilities.shared
    with get_backend("sklearn", path=str(tmp_path)) as store:
        assert store.index_names() == ["t"]
        again = store.open_index("t")
        assert again.info.metric == "dotproduct"
        assert again.search(data.queries, 5) == before


def test_a_memory_store_claims_no_durability() -> None:
    for path in (None, ":memory:"):
        index = get_backend("sklearn", path=path).create_index("t", dimension=2)
        assert not index.capabilities.durable
        assert not index.capabilities.shared
