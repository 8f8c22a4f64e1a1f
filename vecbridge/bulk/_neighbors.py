"""The neighbours of every record of an index that no machine holds: blocks beside blocks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index, Store
from vecbridge._client import _validate as validate
from vecbridge._contract._hits import Hits
from vecbridge.bulk._blocks import Block, default_blocks, read_block, same_sums
from vecbridge.bulk._checksum import Checksum
from vecbridge.bulk._lending import Lent, backend_of, refuse_stationary
from vecbridge.bulk._plan import Partition, each_once, plan
from vecbridge.bulk._reading import Progress, silent
from vecbridge.bulk._running import Task, Tick, Told, run
from vecbridge.local import LocalBackend, LocalIndex, LocalTable
from vecbridge.settings import Settings

_QUERIES_AT_ONCE = 4096
_NOBODY = np.iinfo(np.int64).max


def neighbors(
    index: Index,
    k: int = 10,
    *,
    executor: Executor | None = None,
    partitions: int | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[str, Hits]]:
    """Yield what :meth:`vecbridge.Index.neighbors` yields, in the memory of two blocks.

    Each block of the index is compared with all of them, here or on an executor; the answer is the
    same, to the last bit. Each block is read as often as there are blocks. The index should not be
    written to meanwhile. This process holds the answer: 16 bytes per record and neighbour.

    Args:
        index: the index whose records are compared.
        k: number of neighbours per record.
        executor: where blocks are compared; by default this process.
        partitions: number of blocks; by default, 1 GiB of vectors per block.
        progress: called after each block.

    Yields:
        Each record's id and its hits, in ascending order of ids.

    Raises:
        InvalidArgumentError: ``k`` is below 1.
        UnsupportedError: on an executor, the index is in memory.
        CorruptStoreError: the index was written to meanwhile.
        PartitionsFailedError: some blocks failed on the executor.

    Example:
        >>> import vecbridge
        >>> from vecbridge.bulk import neighbors
        >>> index = vecbridge.get_backend("sklearn").create_index(
        ...     "points", dimension=1, metric="euclidean"
        ... )
        >>> index.upsert(["a", "b", "c"], [[0], [1], [5]])
        >>> [(name, hits.ids) for name, hits in neighbors(index, 1, partitions=2)]
        [('a', ('b',)), ('b', ('a',)), ('c', ('b',))]
    """
    count = validate.positive(k, "k")
    if executor is not None:
        refuse_stationary(index)
    blocks = partitions or default_blocks(index, spread=executor is not None)
    cut = plan(index, blocks)
    told = Told("comparing", cut.records, progress)
    task = Task(_neighbors_part, (Lent(index),), {"blocks": cut.partitions, "k": count})
    found = each_once(
        len(cut.partitions),
        run(task, cut.partitions, told, executor, backend_of(index)),
        _Neighbors,
    )
    same_sums(cut, ((cut.partitions, each.sums) for each in found), backend_of(index))
    return _hits([name for each in found for name in each.ids], found)


@dataclass(frozen=True, eq=False)
class _Neighbors:
    """The neighbours of the records of a block, as positions in the whole index."""

    number: int
    sums: tuple[Checksum, ...]
    ids: list[str]
    rows: NDArray[np.int64]
    distances: NDArray[np.float64]

    @property
    def records(self) -> int:
        return len(self.ids)


def _hits(names: list[str], found: list[_Neighbors]) -> Iterator[tuple[str, Hits]]:
    for part in found:
        for name, rows, distances in zip(part.ids, part.rows, part.distances, strict=True):
            there = rows != _NOBODY
            ids = tuple([names[row] for row in rows[there].tolist()])
            yield name, Hits(ids, distances[there], exact=True)


def _neighbors_part(
    index: Index, part: Partition, *, blocks: tuple[Partition, ...], k: int, tick: Tick
) -> _Neighbors:
    own = read_block(index, part)
    best = np.full((len(own.ids), k), _NOBODY), np.full((len(own.ids), k), np.inf)
    sums = list[Checksum]()
    for block in blocks:
        other = own if block == part else read_block(index, block)
        before = sum(each.records for each in sums)
        sums.append(other.checksum)
        if other.ids and own.ids:
            best = _nearest(_found(index, own, other, k, before), best, k)
    tick(len(own.ids))
    return _Neighbors(part.number, tuple(sums), own.ids, *best)


Table = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Positions of records, and their distances: a row per record of the block."""


def _nearest(one: Table, other: Table, k: int) -> Table:
    """Return the ``k`` nearest of both, ties by position, which is the order of ids."""
    rows = np.concatenate([one[0], other[0]], axis=1)
    distances = np.concatenate([one[1], other[1]], axis=1)
    order = np.lexsort((rows, distances), axis=-1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _found(index: Index, own: Block, other: Block, k: int, before: int) -> Table:
    """Return the nearest records of a block to each of another; itself is not among them."""
    info = index.info
    wanted = min(len(other.ids), k + 1)
    rows = np.full((len(own.ids), wanted), _NOBODY)
    distances = np.full(rows.shape, np.inf)
    positions = {name: at for at, name in enumerate(other.ids)}
    with Store(_Memory(Settings())) as store:
        held = store.create_index("block", dimension=info.dimension, metric=info.metric)
        held.upsert(other.ids, other.vectors)
        for start in range(0, len(own.ids), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            for at, hits in enumerate(held.search(own.vectors[part], wanted), start):
                rows[at] = [positions[name] for name in hits.ids]
                distances[at] = hits.distances
    if own is other:
        itself = rows == np.arange(len(rows))[:, np.newaxis]
        distances[itself] = np.inf
        rows = np.where(itself, _NOBODY - before, rows)
    return rows + before, distances


class _Memory(LocalBackend[LocalIndex]):
    """Exact search over records in memory, by products of numpy."""

    name: ClassVar[str] = "block"
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(path=None)

    def index_over(self, table: LocalTable) -> LocalIndex:
        return LocalIndex(table, self.capabilities, self.name)
