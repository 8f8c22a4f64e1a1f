"""Threads that share an index, as the App's server does: each one's view is its own."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run

SORTS = int(os.environ.get("VECBRIDGE_THREADED_SORTS", "1000"))
THREADS = 16


Wanted = tuple[str, int, str, int | None, bool]


def views_of(digits: Digits) -> list[Any]:
    """The dataset, and views of it, small and large."""
    dataset = digits.dataset
    return [dataset, dataset[:20], dataset[20:120], dataset.select(digits.ids[::3]), dataset[:0]]


def asked(random: random.Random, keys: dict[str, list[str]]) -> Wanted:
    """A sort: under which key, of which view, by what, how many, from which end."""
    key = random.choice(list(keys))
    return (
        key,
        random.randrange(5),
        random.choice(keys[key]),
        random.choice([1, 5, 25, None]),
        random.random() < 0.5,
    )


def sort(views: list[Any], wanted: Wanted) -> list[str]:
    """The answer to a sort."""
    key, view, name, k, reverse = wanted
    found = views[view].sort_by_similarity(name, k=k, reverse=reverse, brain_key=key)
    ids: list[str] = found.values("id")
    return ids


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sklearn-path"], indirect=True)
def test_sorts_of_several_views_under_one_key_in_many_threads_are_all_right(
    case: Case, digits: Digits
) -> None:
    index = new_run(digits, case, metric="euclidean", embeddings=digits.vectors)
    patches = new_run(
        digits, case, metric="euclidean", patches_field="halves", embeddings=digits.patches
    )
    views = views_of(digits)
    source = random.Random(7)
    keys = {index.key: digits.ids, patches.key: digits.label_ids}
    sorts = [asked(source, keys) for _ in range(SORTS)]
    expected = {each: sort(views, each) for each in dict.fromkeys(sorts)}

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda each: sort(views, each), sorts))
    wrong = sum(answer != expected[each] for each, answer in zip(sorts, answers, strict=True))
    later = [sort(views, each) == expected[each] for each in sorts[:50]]

    assert (wrong, all(later)) == (0, True)
    for each in (index, patches):
        assert each.view is digits.dataset
        each.delete()


@pytest.mark.parametrize("case", ["sklearn-path"], indirect=True)
def test_a_view_that_one_thread_uses_restricts_no_other(case: Case, digits: Digits) -> None:
    index = new_run(digits, case, embeddings=digits.vectors)

    def all_of_it() -> tuple[int, int, int]:
        return (
            index.index_size,
            len(index.current_sample_ids),
            len(index._kneighbors(digits.ids[5])[0]),
        )

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(all_of_it).result() == (150, 150, 150)
        with index.use_view(digits.dataset[:9]):
            assert all_of_it() == (9, 9, 9)
            assert pool.submit(all_of_it).result() == (150, 150, 150)
            index.remove_from_index(sample_ids=digits.ids[:2])
            assert all_of_it() == (7, 7, 7)
            assert index.missing_size == 2
            assert pool.submit(lambda: len(index.current_sample_ids)).result() == 148
    index.delete()
