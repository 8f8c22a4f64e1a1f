"""Compare what a store answers with what it must, and say where the two part."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge import Hits, Index, Metric, Records
from vecbridge.ranking import distances, rank

__all__ = [
    "Model",
    "assert_same_bits",
    "assert_same_hits",
    "assert_same_vectors",
    "bits",
    "contents",
    "contents_of",
    "described",
    "exact_ranking",
    "raised_by",
    "recall_bound",
    "unchanged",
]


def exact_ranking(
    metric: Metric, ids: Sequence[str], vectors: ArrayLike, query: ArrayLike, k: int | None
) -> Hits:
    """Return the exact ranking of one query, by the definition.

    Args:
        metric: by which the records are ranked.
        ids: of the records.
        vectors: ``(len(ids), d)`` float32.
        query: ``(d,)`` float32.
        k: how many hits there are at most; ``None`` for all.
    """
    asked = np.asarray(query, dtype=np.float32)
    table = distances(metric, asked, np.asarray(vectors, np.float32).reshape(len(ids), len(asked)))
    order = rank(ids, table, k)
    rows: list[int] = order.tolist()
    return Hits(tuple(ids[row] for row in rows), table[order], exact=True)


class Model:
    """What an index must hold, and what it must answer.

    Args:
        dimension: of the index.
        metric: of the index.
    """

    def __init__(self, dimension: int, metric: Metric) -> None:
        self.dimension = dimension
        self.metric: Metric = metric
        self.records: dict[str, NDArray[np.float32]] = {}

    def upsert(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replace."""
        self.records.update(zip(ids, np.array(vectors, copy=True), strict=True))

    def delete(self, ids: Iterable[str]) -> None:
        """Remove, and ignore what is not there."""
        for name in ids:
            self.records.pop(name, None)

    def search(
        self, query: NDArray[np.float32], k: int | None, within: Collection[str] | None = None
    ) -> Hits:
        """Return the exact ranking of one query."""
        names = [name for name in self.records if within is None or name in within]
        return exact_ranking(self.metric, names, self.matrix(names), query, k)

    def matrix(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of records that are there: ``(len(ids), d)``."""
        rows = [self.records[name] for name in ids]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)

    def check_records(self, found: Records, ids: Sequence[str]) -> None:
        """Raise where a ``fetch`` of distinct ids did not give what it must."""
        present = tuple(name for name in ids if name in self.records)
        absent = tuple(name for name in ids if name not in self.records)
        # Compared outside of the assertions: of long lists, pytest's own message takes minutes.
        same_present, same_absent = found.ids == present, found.missing == absent
        assert same_present, f"asked for {ids}, got records of {found.ids}"
        assert same_absent, f"asked for {ids}, got {found.missing} as missing"
        assert_same_bits(found.vectors, self.matrix(present))

    def check_all(self, batches: Iterable[Records]) -> None:
        """Raise where a ``scan`` did not give every record once."""
        parts = list(batches)
        names = [name for part in parts for name in part.ids]
        there = sorted(self.records)
        complete = sorted(names) == there
        assert complete, f"the records are {there}, the scan gave {names}"
        for part in parts:
            assert_same_bits(part.vectors, self.matrix(part.ids))


def assert_same_hits(found: Hits, expected: Hits, prefix: str = "") -> None:
    """Expect the same ids in the same order at the same distances, to the last bit.

    Args:
        found: the answer under test.
        expected: the reference's.
        prefix: what the message begins with.
    """
    pairs = list(zip(found, expected, strict=False))
    for position, (got, want) in enumerate(pairs):
        same = got.id == want.id and got.distance == want.distance
        assert same, (
            f"{prefix}at rank {position}: found {got.id!r} at {got.distance!r}, "
            f"the exact ranking has {want.id!r} at {want.distance!r}"
        )
    assert len(found) == len(expected), (
        f"{prefix}{len(found)} hits, the exact ranking has {len(expected)}"
    )
    assert found == expected, (
        f"{prefix}equal as numbers, but not bit for bit: the sign of a zero differs"
    )


def assert_same_bits(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Expect two arrays of vectors to be equal bit for bit."""
    assert found.dtype == np.float32, f"vectors are float32; got {found.dtype}"
    assert found.shape == expected.shape, f"expected shape {expected.shape}, got {found.shape}"
    for row, (got, wanted) in enumerate(zip(found, expected, strict=True)):
        message = f"vector {row}: expected {wanted.tolist()}, got {got.tolist()}"
        assert got.tobytes() == wanted.tobytes(), message


def raised_by(call: Callable[[], object]) -> Exception | None:
    """Return the error of a call, if it has one."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  (the caller judges it)
        return error
    return None


def described(error: BaseException | None) -> str:
    """Return an error as a message shows it: its class and its message."""
    return "nothing" if error is None else f"{type(error).__name__}: {error}"


def assert_same_vectors(found: ArrayLike, expected: ArrayLike) -> None:
    """Expect equal numbers, and say where the first two differ: whole vectors fill pages."""
    one, other = np.asarray(found), np.asarray(expected)
    assert one.shape == other.shape, f"vectors of shape {one.shape}; written were {other.shape}"
    wrong = np.argwhere(one != other)
    assert len(wrong) == 0, (
        f"{len(wrong)} of {one.size} numbers differ, the first at {wrong[0].tolist()}: "
        f"{one[tuple(wrong[0])]!r} for {other[tuple(wrong[0])]!r}"
    )


def bits(vectors: ArrayLike) -> bytes:
    """Return the bytes of an array of float32, which tell the sign of a zero."""
    return np.ascontiguousarray(vectors, dtype=np.float32).tobytes()


def contents(index: Index) -> dict[str, bytes]:
    """Return every record of an index, as its vector's bits by its id."""
    found: dict[str, bytes] = {}
    for records in index.scan(1000):
        for name, vector in zip(records.ids, records.vectors, strict=True):
            assert name not in found, f"scan gave {name!r} twice"
            found[name] = bits(vector)
    return found


def contents_of(ids: Iterable[str], vectors: ArrayLike) -> dict[str, bytes]:
    """Return what :func:`contents` must find once these records are in an empty index."""
    rows = np.asarray(vectors, dtype=np.float32)
    return {name: bits(row) for name, row in zip(ids, rows, strict=True)}


@contextmanager
def unchanged(index: Index) -> Iterator[None]:
    """Expect the records after the block to be those before it."""
    before = contents(index)
    yield
    after = contents(index)
    assert after == before, f"the call changed records: {_difference(before, after)}"
    assert index.count() == len(before)


def recall_bound(successes: int, trials: int, *, confidence: float = 0.99) -> float:
    """Return Clopper and Pearson's exact lower bound of a probability.

    Args:
        successes: how often it went well.
        trials: how often it was tried.
        confidence: how sure the bound is.

    Returns:
        The largest ``p`` under which so many successes are less likely than ``1 - confidence``.

    Example:
        >>> round(recall_bound(10, 10, confidence=0.95), 4)
        0.7411
    """
    if successes == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_least(successes, trials, middle) < 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def _difference(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    lost = sorted(before.keys() - after.keys())
    new = sorted(after.keys() - before.keys())
    other = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    return f"lost {lost[:3]}, new {new[:3]}, altered {other[:3]}"


def _at_least(successes: int, trials: int, p: float) -> float:
    """Return the probability of so many successes or more."""
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    terms = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(p)
        + (trials - count) * math.log1p(-p)
        for count in range(successes, trials + 1)
    )
    return math.fsum(map(math.exp, terms))
