"""What a person sees who asks for similar samples, over each store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.browser.app import App, Search
from tests.browser.conftest import STORES, Indexes, run_key
from tests.live.fiftyone.cases import Digits

over_stores = pytest.mark.parametrize("store", STORES)


def expected(index: Any, query: Any, k: int, **options: Any) -> list[str]:
    ids: list[str] = index.sort_by_similarity(query, k=k, **options).values("id")
    return ids


@over_stores
def test_panel_shows_the_most_similar_in_order(
    grid: App, indexes: Indexes, digits: Digits, store: str
) -> None:
    wanted = expected(indexes[store, "samples"], digits.ids[7], 12)
    grid.select(digits.ids[7])
    grid.search(Search(run_key(store, "samples"), f"nearest-{store}", k=12))
    grid.show_results()
    grid.await_order(wanted)
    grid.picture(f"nearest-{store}")


def test_one_click_shows_the_most_similar(grid: App, indexes: Indexes, digits: Digits) -> None:
    grid.select(digits.ids[4])
    grid.similar()
    grid.show_results()
    # Every store has the same ranking, so it does not matter which the App takes.
    grid.await_order(expected(indexes["sklearn", "samples"], digits.ids[4], 25))
    grid.picture("one-click")


@over_stores
def test_least_similar_with_their_distances_in_a_field(
    grid: App, indexes: Indexes, digits: Digits, store: str
) -> None:
    key, field = run_key(store, "samples"), f"far_{run_key(store, 'samples')}"
    wanted = expected(indexes[store, "samples"], digits.ids[3], 9, reverse=True)
    grid.select(digits.ids[3])
    grid.search(Search(key, f"least-{store}", k=9, least=True, dist_field=field))
    grid.show_results()
    grid.await_order(wanted)
    grid.picture(f"least-{store}")
    digits.dataset.reload()
    stored = digits.dataset.select(wanted, ordered=True).values(field)
    rows = [digits.row(name) for name in wanted]
    away = np.linalg.norm(digits.vectors[rows].astype(float) - digits.vectors[3], axis=1)
    assert stored == pytest.approx(away.tolist(), rel=1e-12)


@over_stores
def test_negative_samples_steer_away(
    grid: App, indexes: Indexes, digits: Digits, store: str
) -> None:
    query = 2 * digits.vectors[2] - digits.vectors[8]
    wanted = expected(indexes[store, "samples"], query, 10)
    grid.select(digits.ids[2])
    grid.select(digits.ids[8], negative=True)
    grid.search(Search(run_key(store, "samples"), f"negative-{store}"))
    grid.show_results()
    grid.await_order(wanted)
    grid.picture(f"negative-{store}")


@over_stores
def test_text_prompt_finds_images(grid: App, indexes: Indexes, digits: Digits, store: str) -> None:
    wanted = expected(indexes[store, "words"], "a five", 8)
    grid.search(Search(run_key(store, "words"), f"text-{store}", k=8, text="a five"))
    grid.show_results()
    grid.await_order(wanted)
    grid.picture(f"text-{store}")
    labels = digits.dataset.select(wanted).values("digit.label")
    assert labels.count("5") >= 4


@over_stores
def test_patches_are_sorted_by_similarity(
    grid: App, indexes: Indexes, digits: Digits, store: str
) -> None:
    index = indexes[store, "patches"]
    with index.use_view(digits.dataset.to_patches("halves")):
        wanted = expected(index, digits.label_ids[4], 9)
    grid.to_patches("halves")
    grid.show_ids()
    grid.await_order(digits.label_ids[:5])
    grid.select(digits.label_ids[4])
    grid.search(Search(run_key(store, "patches"), f"patches-{store}-search", k=9))
    grid.show_results()
    grid.await_order(wanted)
    grid.picture(f"patches-{store}")
