"""Ids: any text of 1 to 512 bytes, told apart by code point and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from vecbridge import InvalidIdError
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import contents, contents_of, unchanged
from vecbridge_conformance.data import HOSTILE_IDS

REFUSED = ("", "\0", "a\0b", "\ud800", "x" * 513, "\u00e9" * 257, 7, None, b"bytes")
ALIKE = [
    ("\u00e9", "e\u0301"),
    ("\u212b", "\u00c5"),
    ("\ufb01", "fi"),
    ("a", "A"),
    ("a", " a"),
    ("a", "a "),
    ("a", "a\n"),
    ("1", "01"),
    ("1", "1.0"),
    ("x" * 255 + "a", "x" * 255 + "b"),
    ("x" * 511 + "a", "x" * 511 + "b"),
    ("a_c", "abc"),
    ("a%", "abc"),
]


def _numbered(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return vectors that tell which record they are of."""
    rows = np.ones((count, 2), dtype=np.float32)
    rows[:, 0] = np.arange(1, count + 1)
    return rows


@clause("REC-1", "REC-2", "READ-1")
def test_hostile_ids_come_back_as_they_were_written(harness: Harness) -> None:
    """Look at how ids are escaped, encoded and cut on their way to the store."""
    index = harness.index(dimension=2, metric="euclidean")
    vectors = _numbered(len(HOSTILE_IDS))
    index.upsert(HOSTILE_IDS, vectors)
    assert index.count() == len(HOSTILE_IDS)
    assert contents(index) == contents_of(HOSTILE_IDS, vectors)
    fetched = index.fetch(HOSTILE_IDS)
    assert fetched.ids == HOSTILE_IDS
    assert fetched.missing == ()
    assert fetched.vectors.tobytes() == vectors.tobytes()


@clause("REC-1", "SEARCH-7", "RANK-2")
def test_hostile_ids_are_found_and_ranked(harness: Harness) -> None:
    """Look at the ids of hits, and at how within is put into the store's language."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(HOSTILE_IDS, np.ones((len(HOSTILE_IDS), 2)))
    in_order = tuple(sorted(HOSTILE_IDS))
    assert index.search([1, 1], k=None)[0].ids == in_order
    assert index.search([1, 1], k=len(HOSTILE_IDS), within=HOSTILE_IDS)[0].ids == in_order
    for start in range(5):
        listed = HOSTILE_IDS[start::5]
        assert index.search([0, 0], k=None, within=listed)[0].ids == tuple(sorted(listed))
    for name in (each for each in HOSTILE_IDS if set(each) & set("'\"\\")):
        assert index.search([0, 0], k=9, within=[name])[0].ids == (name,), repr(name)


@clause("REC-1", "REC-2", "WRITE-5", "READ-4")
def test_deleting_a_hostile_id_deletes_nothing_else(harness: Harness) -> None:
    """Look at how the ids of a delete are escaped: a quote or a wildcard must stay a character."""
    index = harness.index(dimension=2, metric="euclidean")
    vectors = _numbered(len(HOSTILE_IDS))
    index.upsert(HOSTILE_IDS, vectors)
    expected = contents_of(HOSTILE_IDS, vectors)
    for name in HOSTILE_IDS[::2]:
        index.delete([name])
        del expected[name]
    assert contents(index) == expected
    assert index.contains(HOSTILE_IDS).tolist() == [name in expected for name in HOSTILE_IDS]


@clause("REC-2")
def test_ids_that_look_alike_are_different_records(harness: Harness) -> None:
    """Look for trimming, folding, normalising, numbers, patterns, columns that are too short."""
    index = harness.index(dimension=2, metric="euclidean")
    for one, other in ALIKE:
        pair = f"{one!r} and {other!r}"
        index.upsert([one, other], [[1, 0], [2, 0]])
        found = index.fetch([one, other])
        assert found.ids == (one, other), pair
        assert found.vectors[:, 0].tolist() == [1, 2], pair
        index.delete([one])
        assert index.contains([one, other]).tolist() == [False, True], pair
        index.delete([other])
    assert index.count() == 0


@clause("REC-10", "REC-1", "ERR-3")
def test_the_longest_id_is_kept_and_a_longer_one_is_refused(harness: Harness) -> None:
    """Look at what the index says of the length of ids."""
    index = harness.index(dimension=2)
    longest = "x" * index.info.max_id_bytes
    index.upsert([longest], [[1, 2]])
    assert index.fetch([longest]).vectors.tolist() == [[1, 2]]
    with unchanged(index), pytest.raises(InvalidIdError):
        index.upsert([longest, longest + "x"], [[3, 4], [3, 4]])


@clause("REC-1", "ERR-3")
def test_what_is_no_id_is_refused_before_anything_is_done(harness: Harness) -> None:
    """Look at the client layer; an engine alone never sees such ids."""
    index = harness.index(dimension=2)
    index.upsert(["kept"], [[1, 2]])
    attempts: list[Callable[[Any], object]] = [
        lambda bad: index.upsert(["kept", bad], [[9, 9], [9, 9]]),
        lambda bad: index.delete(["kept", bad]),
        lambda bad: index.fetch([bad]),
        lambda bad: index.contains([bad]),
        lambda bad: index.search([1, 2], within=[bad]),
    ]
    with unchanged(index):
        for bad, attempt in product(REFUSED, attempts):
            with pytest.raises(InvalidIdError):
                attempt(bad)
