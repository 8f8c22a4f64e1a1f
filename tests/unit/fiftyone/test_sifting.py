"""Large views: the ranking of everything, sifted, is the ranking of the view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from vecbridge import Hits
from vecbridge.fiftyone._sifting import sifted

COUNT = 20_000


class View:
    """What is asked of a view of samples."""

    def __init__(self, ids: set[str]) -> None:
        self.ids = ids
        self.selected: list[int] = []

    def select(self, ids: Sequence[str]) -> View:
        self.selected.append(len(ids))
        return View(self.ids & set(ids))

    def _aggregate(self, post_pipeline: object) -> list[dict[str, list[str]]]:
        return [{"ids": sorted(self.ids)}] if self.ids else []


def ask(count: int) -> Hits:
    some = min(count, COUNT)
    return Hits(tuple(f"{row:05}" for row in range(some)), np.arange(float(some)), exact=True)


@pytest.mark.parametrize("share", [1, 2, 3, 10, 50])
def test_best_of_the_view_in_their_order(share: int) -> None:
    view = View({f"{row:05}" for row in range(0, COUNT, share)})
    found = sifted(view, 25, ask)
    assert found is not None
    assert found.exact
    assert found.ids == tuple(f"{share * row:05}" for row in range(25))
    assert found.distances.tolist() == [float(share * row) for row in range(25)]
    assert max(view.selected) < COUNT // 2


def test_view_without_what_is_near_is_left_to_others() -> None:
    view = View({f"{row:05}" for row in range(COUNT - 600, COUNT)})
    assert sifted(view, 25, ask) is None


def test_ranking_that_is_not_proven_is_left_to_others() -> None:
    view = View({f"{row:05}" for row in range(COUNT)})
    assert sifted(view, 5, lambda _: Hits(("00001",), np.zeros(1), exact=False)) is None


@pytest.mark.parametrize("k", [None, 0, -1, 10_000])
def test_any_other_number_is_left_to_others(k: int | None) -> None:
    assert sifted(View(set()), k, ask) is None


def test_fewer_than_asked_for_where_everything_was_ranked() -> None:
    def few(count: int) -> Hits:
        return Hits(("00001", "00002"), np.array([0.5, 1.5]), exact=True)

    found = sifted(View({"00002"}), 5, few)
    assert found == Hits(("00002",), np.array([1.5]), exact=True)
