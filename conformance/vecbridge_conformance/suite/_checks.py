"""Comparisons that say where two answers part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from vecbridge import Hits, Index, Records, VectorIndex


def assert_same_hits(found: Hits, expected: Hits, told: str = "") -> None:
    """Expect the same ids in the same order at the same distances, to the last bit.

    Args:
        found: the answer under test.
        expected: the reference's.
        told: what the message begins with.
    """
    pairs = list(zip(found, expected, strict=False))
    for position, (got, want) in enumerate(pairs):
        same = got.id == want.id and got.distance == want.distance
        assert same, (
            f"{told}at rank {position}: found {got.id!r} at {got.distance!r}, "
            f"the exact ranking has {want.id!r} at {want.distance!r}"
        )
    assert len(found) == len(expected), (
        f"{told}{len(found)} hits, the exact ranking has {len(expected)}"
    )
    assert found == expected, (
        f"{told}equal as numbers, but not bit for bit: the sign of a zero differs"
    )


def raised_by(call: Callable[[], object]) -> Exception | None:
    """Return the error of a call, if it has one."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  (the caller judges it)
        return error
    return None


def described(error: BaseException | None) -> str:
    """Return an error as a message shows it: its class and its own words."""
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


def contents(index: Index | VectorIndex) -> dict[str, bytes]:
    """Return every record of an index, as its vector's bits by its id."""
    found: dict[str, bytes] = {}
    for records in index.scan(1000):
        for name, vector in zip(records.ids, records.vectors, strict=True):
            assert name not in found, f"scan gave {name!r} twice"
            found[name] = bits(vector)
    return found


def model(ids: Iterable[str], vectors: ArrayLike) -> dict[str, bytes]:
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


def by_id(records: Records) -> Mapping[str, bytes]:
    """Return the vectors' bits of fetched records by id."""
    return model(records.ids, records.vectors)


def _difference(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    lost = sorted(before.keys() - after.keys())
    new = sorted(after.keys() - before.keys())
    other = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    return f"lost {lost[:3]}, new {new[:3]}, altered {other[:3]}"
