"""The nearest others of every record, or how near one can be, each pair multiplied once.

Records are taken in blocks, and blocks in pairs. Each product is shown to the records on both of
its sides, and each record keeps the few best that it was shown: all that costs much is half of a
matrix product. The exact distances of what was kept then rank it, and prove for nearly every record
that nothing else belongs there; the others are looked at again in float64.

Memory: a copy of the vectors, 24 bytes a record and neighbour that is kept, and 20 MiB a thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vecbridge.ranking._scores import FarKeys, PairKeys
from vecbridge.ranking._select import smallest_columns
from vecbridge.ranking._threads import single_products

BLOCK = 4096
STRIP = 1024
WORKERS = min(8, os.cpu_count() or 1)

Progress = Callable[[int, int], None]
"""Told how much of the work is done: how many of how many."""


class Kept:
    """The best columns of some records so far.

    Attributes:
        keys: ``(n, count)`` float32.
        columns: ``(n, count)``, in no order.
    """

    def __init__(self, records: int, count: int) -> None:
        self.keys = np.full((records, count), np.inf, dtype=np.float32)
        self.columns = np.zeros((records, count), dtype=np.int32)

    def worst(self, rows: slice) -> NDArray[np.float32]:
        """What a key must be below to be kept by some records: ``(rows,)``."""
        return np.asarray(self.keys[rows].max(axis=1))

    def start(self, rows: slice, keys: NDArray[np.float32], first: int) -> None:
        """Takes the best of a first table; its columns count from ``first``."""
        count = min(self.keys.shape[1], keys.shape[1])
        best = smallest_columns(keys, count)
        self.keys[rows, :count] = np.take_along_axis(keys, best, axis=1)
        self.columns[rows, :count] = best + first

    def add(
        self,
        start: int,
        owners: NDArray[np.intp],
        columns: NDArray[np.intp],
        keys: NDArray[np.float32],
    ) -> None:
        """Takes in what may be better.

        Args:
            start: the record that owner 0 is.
            owners: whose each is, in ascending order.
            columns: which each is.
            keys: of each.
        """
        if not len(owners):
            return
        rows, firsts, counts = np.unique(owners, return_index=True, return_counts=True)
        places = np.arange(len(owners)) - np.repeat(firsts, counts)
        numbers = np.repeat(np.arange(len(rows)), counts)
        size = self.keys.shape[1]
        at = rows + start
        pool = np.full((len(rows), size + int(counts.max())), np.inf, dtype=np.float32)
        names = np.zeros(pool.shape, dtype=np.int32)
        pool[:, :size], names[:, :size] = self.keys[at], self.columns[at]
        pool[numbers, size + places], names[numbers, size + places] = keys, columns
        best = np.argpartition(pool, size - 1, axis=1)[:, :size]
        self.keys[at] = np.take_along_axis(pool, best, axis=1)
        self.columns[at] = np.take_along_axis(names, best, axis=1)


def nearest_others(
    keys: PairKeys | FarKeys, records: int, count: int, progress: Progress | None = None
) -> Kept:
    """The ``count`` smallest keys of each record with the others.

    Args:
        keys: of pairs of records.
        records: how many there are; more than ``count``.
        count: how many to keep.
        progress: told after each block.
    """
    kept = Kept(records, count)

    def show(left: int, right: int, out: NDArray[np.float32]) -> None:
        columns = keys.columns(slice(right, right + BLOCK))
        _show(keys, kept, left, right, min(left + BLOCK, records), columns, out)

    _show_all(show, records, progress)
    return kept


def least_keys(
    keys: PairKeys, records: int, progress: Progress | None = None
) -> NDArray[np.float32]:
    """The smallest key of each record with another: ``(n,)``.

    Args:
        keys: of pairs of records.
        records: how many there are.
        progress: told after each block.
    """
    least = np.full(records, np.inf, dtype=np.float32)

    def show(left: int, right: int, out: NDArray[np.float32]) -> None:
        columns = keys.columns(slice(right, right + BLOCK))
        others = least[right : right + BLOCK]
        for start in range(left, min(left + BLOCK, records), STRIP):
            rows = slice(start, min(start + STRIP, left + BLOCK, records))
            table = keys.keys(rows, columns, out)
            if left == right:
                itself = np.arange(len(table))
                table[itself, itself + start - right] = np.inf
            else:
                np.minimum(others, table.min(axis=0), out=others)
            np.minimum(least[rows], table.min(axis=1), out=least[rows])

    _show_all(show, records, progress)
    return least


def _show_all(
    show: Callable[[int, int, NDArray[np.float32]], None],
    records: int,
    progress: Progress | None,
) -> None:
    """Shows every pair of blocks, by where they start, with room for the keys of a strip.

    No block is in two pairs at a time.
    """
    blocks = -(-records // BLOCK)
    held = threading.local()
    done, total = 0, blocks * (blocks + 1) // 2

    def shown(pair: tuple[int, int]) -> None:
        if not hasattr(held, "table"):
            held.table = np.empty(STRIP * BLOCK, dtype=np.float32)
        show(pair[0] * BLOCK, pair[1] * BLOCK, held.table)

    from concurrent.futures import ThreadPoolExecutor

    with single_products(), ThreadPoolExecutor(WORKERS) as pool:
        for pairs in _rounds(blocks):
            for _ in pool.map(shown, pairs):
                done += 1
                if progress is not None:
                    progress(done, total)


def _rounds(blocks: int) -> Iterator[list[tuple[int, int]]]:
    """Every pair of blocks once; in a round, no block is in two of them. First each with itself."""
    yield [(block, block) for block in range(blocks)]
    seats = list(range(blocks + blocks % 2))
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        met = zip(seats[:half], reversed(seats[half:]), strict=True)
        # With an odd number of blocks, who meets the last seat rests.
        yield [(min(pair), max(pair)) for pair in met if max(pair) < blocks]
        seats[1:] = [seats[-1], *seats[1:-1]]


def _show(
    keys: PairKeys | FarKeys,
    kept: Kept,
    left: int,
    right: int,
    end: int,
    columns: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Shows a block of records another, and the other the first."""
    worst = kept.worst(slice(right, right + len(columns)))
    for start in range(left, end, STRIP):
        rows = slice(start, min(start + STRIP, end))
        table = keys.keys(rows, columns, out)
        if left == right:
            itself = np.arange(len(table))
            table[itself, itself + start - right] = np.inf
            kept.start(rows, table, right)
            continue
        flat = np.flatnonzero(table < kept.worst(rows)[:, np.newaxis])
        near, far = np.divmod(flat, table.shape[1])
        kept.add(start, near, far + right, table.ravel()[flat])
        flat = np.flatnonzero(table < worst)
        flat = flat[np.argsort(flat % table.shape[1], kind="stable")]
        near, far = np.divmod(flat, table.shape[1])
        kept.add(right, far, near + start, table.ravel()[flat])
