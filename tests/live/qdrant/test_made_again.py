"""An index that another store dropped and made again: what was opened before is no handle of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.qdrant.conftest import Opener
from vecbridge import IndexNotFoundError

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


def test_a_handle_of_a_dropped_index_does_not_reach_the_new_one(opened: Opener, name: str) -> None:
    """Use a handle after another store made an index of another metric under its name."""
    store, other = opened(), opened()
    old = store.create_index(name, dimension=2, metric="euclidean")
    old.upsert(["a"], [[1, 0]])
    other.drop_index(name)
    new = other.create_index(name, dimension=2, metric="cosine")
    new.upsert(["b"], [[0, 2]])
    uses: list[Any] = [
        lambda: old.upsert(["c"], [[1, 1]]),
        lambda: old.delete(["b"]),
        lambda: old.search([0, 1], k=1),
        lambda: old.fetch(["b"]),
        lambda: old.contains(["b"]),
        old.count,
        lambda: [*old.scan()],
    ]
    for use in uses:
        with pytest.raises(IndexNotFoundError, match="open it again"):
            use()
    assert new.search([0, 1], k=5)[0].ids == ("b",)
    other.drop_index(name)
