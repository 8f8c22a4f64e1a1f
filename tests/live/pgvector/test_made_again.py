"""A table that was dropped and made again: what was opened before is no handle of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.pgvector.conftest import Opener
from vecbridge import IndexNotFoundError


def test_a_handle_of_a_dropped_index_does_not_reach_the_new_one(opened: Opener) -> None:
    """Use a handle after another store made an index of another metric under its name."""
    store, other = opened(), opened()
    old = store.create_index("photos", dimension=2, metric="euclidean")
    again = other.open_index("photos")
    old.upsert(["a"], [[1, 0]])
    other.drop_index("photos")
    new = other.create_index("photos", dimension=2, metric="cosine")
    new.upsert(["b"], [[0, 2]])
    uses: list[Any] = [
        lambda: old.upsert(["c"], [[1, 1]]),
        lambda: old.delete(["b"]),
        lambda: old.search([0, 1], k=1),
        lambda: again.search([0, 1], k=1),
        lambda: old.fetch(["b"]),
        old.count,
        lambda: [*old.scan()],
    ]
    for use in uses:
        with pytest.raises(IndexNotFoundError, match="open it again"):
            use()
    assert new.search([0, 1], k=5)[0].ids == ("b",)
