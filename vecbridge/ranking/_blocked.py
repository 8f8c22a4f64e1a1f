"""Work on all pairs of records in blocks: each pair multiplied once, in several threads.

Records are taken in blocks, and blocks in pairs. Each product is shown to the records on both of
its sides, and each record keeps the few best that it was shown: all that costs much is half of a
matrix product. The exact distances of what was kept then rank it, and prove for nearly every record
that nothing else belongs there; the others are looked at again in float64.

Memory: a copy of the vectors, 24 bytes per record and neighbour that is kept, 20 MiB per
thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge.ranking._pair_keys import PairKeys
from vecbridge.ranking._threads import workers
from vecbridge.ranking._topk import smallest_columns

Progress = Callable[[int, int], None]
"""Called with how much of the work is done: how many of how many."""


@dataclass(frozen=True)
class PairBudgets:
    """How work on all pairs of records is cut up.

    Attributes:
        block_rows: records that are compared with each other at a time.
        strip_rows: of these, how many one product takes.
        exact_bytes: how much memory vectors may take, of pairs whose exact distances are computed.
        kept: more neighbours per record than this are ranked in float64 at once.
        float64_bytes: how much memory float64 distances may take at once.
        joined_from: of fewer records than this, pairs within a distance are multiplied in blocks.
        tile_rows: records of a cell that one product takes.
        tile_columns: records that these are multiplied with.
        directions: how many directions the points of a join may have, fewest first.
        pairs_bytes: how much memory the pairs within a distance may take while they are put in
            order, or a quarter of what the vectors take, whichever is more. Half of it is kept.
        doubtful_share: what leaves more than this share of the pairs open is followed by the next
            better arithmetic.
    """

    block_rows: int = 4096
    strip_rows: int = 1024
    exact_bytes: int = 16 << 20
    kept: int = 512
    float64_bytes: int = 64 << 20
    joined_from: int = 4096
    tile_rows: int = 256
    tile_columns: int = 1024
    directions: tuple[int, ...] = (16, 24, 32, 48, 64, 96, 128, 192, 256)
    pairs_bytes: int = 64 << 20
    doubtful_share: float = 1.0 / 64


@dataclass
class PairWork:
    """How much work was done so far, by what decided it.

    Attributes:
        joins: how often all pairs within a distance were looked for.
        joined_pairs: pairs that were multiplied for that.
        joined_products: how many multiplications that took.
        checked_pairs: pairs whose exact distances that took.
        float32_pairs: pairs that products of all dimensions were asked about.
        float64_rows: records that float64 had to decide.
    """

    joins: int = 0
    joined_pairs: int = 0
    joined_products: int = 0
    checked_pairs: int = 0
    float32_pairs: int = 0
    float64_rows: int = 0


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
        """Return what a key must be below to be kept by some records: ``(rows,)``."""
        return np.asarray(self.keys[rows].max(axis=1))

    def start(self, rows: slice, keys: NDArray[np.float32], first: int) -> None:
        """Take the best of a first table; its columns count from ``first``."""
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
        """Take in what may be better.

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
    keys: PairKeys,
    records: int,
    count: int,
    budgets: PairBudgets,
    progress: Progress | None = None,
) -> Kept:
    """Return the ``count`` smallest keys of each record with the others."""
    kept, block, strip = Kept(records, count), budgets.block_rows, budgets.strip_rows

    def show(left: int, right: int, out: NDArray[np.float32]) -> None:
        columns = keys.columns(slice(right, right + block))
        _show(keys, kept, left, right, min(left + block, records), columns, out, strip)

    _show_all(show, records, budgets, progress)
    return kept


def _show_all(
    show: Callable[[int, int, NDArray[np.float32]], None],
    records: int,
    budgets: PairBudgets,
    progress: Progress | None,
) -> None:
    """Show every pair of blocks, by where they start, with room for the keys of a strip.

    No block is in two pairs at a time.
    """
    block, strip = budgets.block_rows, budgets.strip_rows
    blocks = -(-records // block)
    held = threading.local()
    done, total = 0, blocks * (blocks + 1) // 2

    def shown(pair: tuple[int, int]) -> None:
        if not hasattr(held, "table"):
            held.table = np.empty(strip * block, dtype=np.float32)
        show(pair[0] * block, pair[1] * block, held.table)

    with workers() as pool:
        for pairs in _rounds(blocks):
            for _ in pool.map(shown, pairs):
                done += 1
                if progress is not None:
                    progress(done, total)


def _rounds(blocks: int) -> Iterator[list[tuple[int, int]]]:
    """Yield every pair of blocks once, in rounds in which no block is in two of them."""
    yield [(block, block) for block in range(blocks)]
    seats = list(range(blocks + blocks % 2))
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        met = zip(seats[:half], reversed(seats[half:]), strict=True)
        # With an odd number of blocks, the one that meets the last seat rests.
        yield [(min(pair), max(pair)) for pair in met if max(pair) < blocks]
        seats[1:] = [seats[-1], *seats[1:-1]]


def _show(
    keys: PairKeys,
    kept: Kept,
    left: int,
    right: int,
    end: int,
    columns: NDArray[np.float32],
    out: NDArray[np.float32],
    strip: int,
) -> None:
    """Show a block of records another, and the other the first."""
    worst = kept.worst(slice(right, right + len(columns)))
    for start in range(left, end, strip):
        rows = slice(start, min(start + strip, end))
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
