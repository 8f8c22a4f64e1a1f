"""Blocks: partitions that a worker holds in memory, to compare their records with each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._errors import CorruptStoreError
from vecbridge.bulk._checksum import Checksum, Summing
from vecbridge.bulk._parts import scan_of
from vecbridge.bulk._plan import Partition, Plan

_BLOCK_BYTES = 1 << 30
"""Bytes of vectors of a block. A worker holds two blocks, and about as much again."""

_LEAST_BLOCKS = 4
"""Of work that is spread."""


@dataclass(frozen=True, eq=False)
class Block:
    """The records of a partition.

    Attributes:
        ids: ascending.
        vectors: ``(n, d)`` float32.
        checksum: of the records, fields included.
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    checksum: Checksum


def default_blocks(index: Index, *, spread: bool) -> int:
    """Return how many blocks an index is cut into."""
    size = 4 * index.info.dimension * index.count(consistency="strong")
    return max(-(-size // _BLOCK_BYTES), _LEAST_BLOCKS if spread else 1)


def read_block(index: Index, part: Partition) -> Block:
    """Read the records of a partition into memory."""
    ids: list[str] = []
    vectors = [np.empty((0, index.info.dimension), np.float32)]
    summing = Summing(index.info.dimension)
    for records in scan_of(index, part):
        summing.add(records)
        ids.extend(records.ids)
        vectors.append(records.vectors)
    array = np.concatenate(vectors)
    del vectors
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if order != [*range(len(ids))]:
        # A partition without ends comes in any order.
        ids, array = [ids[at] for at in order], array[order]
    return Block(ids, array, summing.result())


def same_sums(
    cut: Plan, read: Iterable[tuple[Sequence[Partition], Sequence[Checksum]]], backend: str
) -> dict[int, Checksum]:
    """Return the checksum of each partition, which all who read it have to agree on.

    Args:
        cut: the plan.
        read: some partitions, and the checksums that they had when they were read.
        backend: name of the store, for errors.

    Raises:
        CorruptStoreError: they do not.
    """
    sums: dict[int, Checksum] = {}
    for parts, found in read:
        for part, checksum in zip(parts, found, strict=True):
            if sums.setdefault(part.number, checksum) != checksum:
                raise CorruptStoreError(
                    f"{part} of index {cut.index!r} was written to while it was compared with "
                    f"others: it had {sums[part.number].records:,} records, and then "
                    f"{checksum.records:,}, or others. Call again when it is at rest",
                    backend=backend,
                    operation="scan",
                )
    return sums
