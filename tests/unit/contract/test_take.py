"""Taking some records of an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecbridge import Candidates, Hits, InvalidArgumentError

HITS = Hits(("a", "b", "c", "d"), np.array([0.0, 1.0, 2.0, 3.0]), exact=True)
CANDIDATES = Candidates(("a", "b", "c"), np.eye(3, dtype=np.float32), 4.5)


@pytest.mark.parametrize("rows", [[], [2], [0, 1], [3, 0, 2], np.array([1, 2], dtype=np.uint8)])
def test_ids_and_distances_come_in_the_order_of_the_rows(rows: Any) -> None:
    taken = HITS.take(rows)
    assert taken == Hits(tuple("abcd"[row] for row in rows), HITS.distances[[*map(int, rows)]])
    assert len(taken.distances) == len(rows)


@pytest.mark.parametrize(
    ("rows", "exact"),
    [([], True), ([0], True), ([0, 1, 2], True), ([1], False), ([0, 2], False), ([1, 0], False)],
)
def test_only_the_first_hits_of_a_certified_answer_are_one(rows: list[int], exact: bool) -> None:
    assert HITS.take(rows).exact is exact
    assert not Hits(HITS.ids, HITS.distances).take(rows).exact


@pytest.mark.parametrize("rows", [[], [1], [2, 0]])
def test_candidates_keep_their_vectors_and_the_bound(rows: list[int]) -> None:
    taken = CANDIDATES.take(rows)
    assert taken.ids == tuple("abc"[row] for row in rows)
    assert taken.vectors.tolist() == CANDIDATES.vectors[rows].tolist()
    assert taken.vectors.shape == (len(rows), 3)
    assert taken.lower_bound == 4.5


def test_what_is_taken_is_the_callers_own() -> None:
    taken = HITS.take([0, 1])
    taken.distances[:] = 9
    assert HITS.distances.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("rows", [[True, False, True], np.array([0.0, 1.0]), ["a"]])
def test_a_mask_is_no_list_of_positions(rows: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="integers"):
        HITS.take(rows)
    with pytest.raises(InvalidArgumentError, match="integers"):
        CANDIDATES.take(rows)
