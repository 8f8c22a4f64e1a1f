"""Near duplicates of an index that no machine holds: pairs of blocks, each joined by itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client._neighborhoods import by_owner, parse_radius
from vecbridge._contract._hits import Hits
from vecbridge.bulk._blocks import default_blocks, read_block, same_sums
from vecbridge.bulk._checksum import Checksum
from vecbridge.bulk._lending import Lent, backend_of, refuse_stationary
from vecbridge.bulk._plan import Partition, Plan, each_once, plan
from vecbridge.bulk._reading import Progress, silent
from vecbridge.bulk._running import Task, Tick, Told, run
from vecbridge.ranking import Pairs
from vecbridge.ranking._near_pairs import NearPairs


@dataclass(frozen=True)
class _Blocks:
    """One or two partitions whose records are compared.

    Every pair of records is in one of them: pairs within a block go with the first other block.
    """

    number: int
    parts: tuple[Partition, ...]

    @property
    def owned(self) -> tuple[bool, ...]:
        """Return for each block whether the pairs within it are looked for here."""
        first = self.parts[0].number
        return (first == 0 and self.parts[-1].number <= 1, first == 0)[: len(self.parts)]


@dataclass(frozen=True, eq=False)
class _Near:
    """The near pairs of two blocks: the block and the row in it of either, and their distance."""

    number: int
    sums: tuple[Checksum, ...]
    rows: NDArray[np.int64]
    distances: NDArray[np.float64]
    ids: dict[int, str]

    @property
    def records(self) -> int:
        return sum(each.records for each in self.sums)


def duplicates(
    index: Index,
    radius: float,
    *,
    executor: Executor | None = None,
    partitions: int | None = None,
    progress: Progress = silent,
) -> dict[str, Hits]:
    """Return what :meth:`vecbridge.Index.duplicates` returns, in the memory of two blocks.

    Blocks of the index are compared two at a time, here or on an executor; the answer is the same,
    to the last bit. Each block is read once per other block, so fewer and larger ones are faster.
    The index should not be written to meanwhile. This process holds the near pairs.

    Args:
        index: the index whose records are compared.
        radius: the largest distance of a duplicate.
        executor: where pairs of blocks are compared; by default this process.
        partitions: number of blocks; by default, 1 GiB of vectors per block.
        progress: called after each pair of blocks.

    Raises:
        InvalidArgumentError: the radius is not a number.
        UnsupportedError: on an executor, the index is in memory.
        CorruptStoreError: the index was written to meanwhile.
        PartitionsFailedError: some pairs of blocks failed on the executor.

    Example:
        >>> import vecbridge
        >>> from vecbridge.bulk import duplicates
        >>> index = vecbridge.get_backend("sklearn").create_index(
        ...     "points", dimension=1, metric="euclidean"
        ... )
        >>> index.upsert(["a", "b", "c", "d"], [[0], [1], [5], [0]])
        >>> found = duplicates(index, 1.0, partitions=3)
        >>> {name: hits.ids for name, hits in found.items()}
        {'a': ('d', 'b')}
    """
    limit = parse_radius(radius)
    if executor is not None:
        refuse_stationary(index)
    cut = plan(index, partitions or default_blocks(index, spread=executor is not None))
    parts = cut.partitions
    groups = combinations(parts, min(2, len(parts)))
    work = [_Blocks(at, group) for at, group in enumerate(groups)]
    total = sum(part.records for each in work for part in each.parts)
    told = Told("comparing", total, progress)
    task = Task(_near_part, (Lent(index),), {"radius": limit})
    # Each pair of blocks once, as each partition of a plan.
    found = each_once(len(work), run(task, work, told, executor, backend_of(index)), _Near)
    read = ((blocks.parts, near.sums) for blocks, near in zip(work, found, strict=True))
    sums = same_sums(cut, read, backend_of(index))
    return _joined(cut, work, found, sums, limit)


def _near_part(index: Index, blocks: _Blocks, *, radius: float, tick: Tick) -> _Near:
    read = [read_block(index, part) for part in blocks.parts]
    sums = tuple(block.checksum for block in read)
    ids = [name for block in read for name in block.ids]
    array = np.concatenate([block.vectors for block in read])
    middle = len(read[0].ids)
    del read
    first, second, distances = _pairs(Pairs(index.info.metric, ids, array), radius)
    # Blocks are ranges of ids, ascending: the first ends where the second begins.
    owned = np.array([*blocks.owned, False])
    inner = (first < middle) == (second < middle)
    kept = ~inner | owned[(first >= middle).astype(np.intp)]
    first, second = first[kept], second[kept]
    named = np.unique(np.concatenate([first, second])).tolist()
    tick(len(ids))
    return _Near(
        blocks.number,
        sums,
        np.stack([first, second]),
        distances[kept],
        {row: ids[row] for row in named},
    )


def _pairs(
    pairs: Pairs, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the earlier and the later record of each near pair, and their distance."""
    later, counts, far = [np.empty(0, np.intp)], list[int](), [np.empty(0)]
    for row, (others, distances) in enumerate(pairs.within(radius)):
        after = others > row
        counts.append(int(np.count_nonzero(after)))
        if counts[-1]:
            later.append(others[after])
            far.append(distances[after])
    first = np.repeat(np.arange(len(counts)), counts)
    return first, np.concatenate(later).astype(np.int64), np.concatenate(far)


def _joined(
    cut: Plan,
    work: Sequence[_Blocks],
    found: Sequence[_Near],
    sums: dict[int, Checksum],
    radius: float,
) -> dict[str, Hits]:
    """Put the near pairs of all blocks together, and choose as the definition does."""
    starts = np.cumsum([0, *(sums[part.number].records for part in cut.partitions)])
    records = int(starts[-1])
    names: dict[int, str] = {}
    parts = []
    for blocks, near in zip(work, found, strict=True):
        middle = near.sums[0].records
        shift = [int(starts[part.number]) for part in blocks.parts]
        # Rows of the second block are counted from the first one's.
        moved = shift[0], shift[-1] - (middle if len(shift) > 1 else 0)
        rows = near.rows + np.where(near.rows < middle, *moved)
        names |= {row + moved[int(row >= middle)]: name for row, name in near.ids.items()}
        parts.append((rows[0] * records + rows[1], near.distances))
    everything = NearPairs.of(records, radius, parts)
    return by_owner(everything.nearest_among(everything.apart().tolist()), names)
