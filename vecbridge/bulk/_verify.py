"""Compare what two indexes hold, and how they rank."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._hits import Hits
from vecbridge._errors import SchemaMismatchError
from vecbridge.bulk._checksum import Checksum, Summing
from vecbridge.bulk._differences import (
    Differences,
    record_differences,
    schema_differences,
)
from vecbridge.bulk._lending import Lent, backend_of, refuse_stationary
from vecbridge.bulk._parts import Digest, digest_part, scan_of
from vecbridge.bulk._plan import Partition, Plan, each_once, plan
from vecbridge.bulk._reading import Progress, silent
from vecbridge.bulk._running import Task, Tick, Told, run


@dataclass(frozen=True)
class Verified:
    """The result of comparing two indexes.

    Attributes:
        first: checksum of the first.
        second: checksum of the second.
        queries: number of rankings that were compared.
        differing: numbers of the queries whose ids, order or distances (to the last bit) differ.
        certified: whether every answer of both was certified exact.
        differences: the differences in their schemas and records.
        cut: number of partitions that they were read in.
        partitions: the partitions in which records differ.
    """

    first: Checksum
    second: Checksum
    queries: int
    differing: tuple[int, ...]
    certified: bool
    differences: Differences
    cut: int
    partitions: tuple[Partition, ...]

    @property
    def same(self) -> bool:
        """Return whether schemas, records and rankings are all the same."""
        return self.first == self.second and not self.differing and not self.differences.schema


def verify(
    first: Index,
    second: Index,
    *,
    queries: int = 20,
    k: int = 10,
    limit: int = 10,
    drop_unsupported: bool = False,
    executor: Executor | None = None,
    partitions: int | None = None,
    progress: Progress = silent,
) -> Verified:
    """Compare two indexes: every record, and the ranking of sampled queries, bit for bit.

    Streams in bounded memory. Each is read once, partition by partition; only partitions whose
    checksums differ are read again, to find out which records do. Neither should be written to
    meanwhile.

    Args:
        first: an index.
        second: another one, of any store.
        queries: number of records of the first that are searched for in both.
        k: number of hits of each that are compared.
        limit: largest number of missing, extra and changed records to name, each.
        drop_unsupported: compare without the columns in ``info.unsupported`` of either, which reads
            do not return.
        executor: where partitions are read, as for :func:`vecbridge.transfer.copy`.
        partitions: number of partitions; see :func:`vecbridge.bulk.plan`.
        progress: called after each batch, or after each partition on an executor.

    Raises:
        InvalidArgumentError: ``queries`` or ``limit`` is negative, or ``k`` below 1.
        SchemaMismatchError: their dimensions differ, so that they cannot be compared.
        UnsupportedError: one holds values that cannot be compared, and ``drop_unsupported`` is
            ``False``; or, on an executor, one is in memory.
        PartitionsFailedError: some partitions failed on the executor.
    """
    validate.not_negative(queries, "queries")
    validate.not_negative(limit, "limit")
    validate.positive(k, "k")
    if first.info.dimension != second.info.dimension:
        raise SchemaMismatchError(
            f"index {first.info.name!r} has {first.info.dimension} dimensions and index "
            f"{second.info.name!r} has {second.info.dimension}; their vectors cannot be compared"
        )
    for index in (first, second):
        validate.refuse_unsupported(index.info, "It cannot be compared", dropped=drop_unsupported)
    if executor is not None:
        refuse_stationary(first, second)
    cut = plan(first, partitions, beside=second, spread=executor is not None)
    count = len(cut.partitions)
    told = Told("reading", cut.records, progress)
    sampling = Task(_sample_part, (Lent(first),), {"queries": queries})
    mine = each_once(
        count, run(sampling, cut.partitions, told, executor, backend_of(first)), _Sampled
    )
    told = Told("reading", second.count(consistency="strong"), progress)
    summing = Task(digest_part, (Lent(second),))
    theirs = each_once(
        count, run(summing, cut.partitions, told, executor, backend_of(second)), Digest
    )
    pairs = [(one.checksum, other.checksum) for one, other in zip(mine, theirs, strict=True)]
    asked = _spread(mine, queries)
    answers = list(
        zip(
            first.search(asked, k, consistency="strong"),
            second.search(asked, k, consistency="strong"),
            strict=True,
        )
    )
    found = _differences(first, second, cut, pairs, limit, progress)
    return Verified(
        sum((one for one, _ in pairs), Checksum()),
        sum((other for _, other in pairs), Checksum()),
        queries=len(asked),
        differing=tuple(row for row, pair in enumerate(answers) if not _equal(*pair)),
        certified=all(one.exact and other.exact for one, other in answers),
        differences=found,
        cut=len(cut.partitions),
        partitions=tuple(
            part for part, (one, other) in zip(cut.partitions, pairs, strict=True) if one != other
        ),
    )


def _differences(
    first: Index,
    second: Index,
    cut: Plan,
    pairs: Sequence[tuple[Checksum, Checksum]],
    limit: int,
    progress: Progress,
) -> Differences:
    differing = [
        (part, one, other)
        for part, (one, other) in zip(cut.partitions, pairs, strict=True)
        if one != other
    ]
    found = Differences()
    if differing:
        told = Told("comparing", sum(one.records for _, one, _ in differing), progress)
        found = record_differences(first, second, differing, limit=limit, told=told)
    return replace(found, schema=schema_differences(first, second))


@dataclass(frozen=True, eq=False)
class _Sampled:
    """The checksum of a partition, and those of its records whose hashes are the smallest.

    The smallest of all partitions are the smallest of the index, however it is cut: a sample that
    is spread over it, and is always the same.
    """

    number: int
    checksum: Checksum
    hashes: NDArray[np.uint64]
    vectors: NDArray[np.float32]

    @property
    def records(self) -> int:
        return self.checksum.records


def _sample_part(index: Index, part: Partition, *, queries: int, tick: Tick) -> _Sampled:
    dimension = index.info.dimension
    summing = Summing(dimension)
    hashes, vectors = np.empty(0, np.uint64), np.empty((0, dimension), np.float32)
    for records in scan_of(index, part):
        new = summing.add(records)[:, 0]
        hashes, vectors = np.append(hashes, new), np.concatenate([vectors, records.vectors])
        first = np.argsort(hashes, kind="stable")[:queries]
        hashes, vectors = hashes[first], vectors[first]
        tick(len(records))
    return _Sampled(part.number, summing.result(), hashes, vectors)


def _spread(parts: Sequence[_Sampled], queries: int) -> NDArray[np.float32]:
    hashes = np.concatenate([part.hashes for part in parts])
    vectors = np.concatenate([part.vectors for part in parts])
    chosen: NDArray[np.float32] = vectors[np.argsort(hashes, kind="stable")[:queries]]
    return chosen


def _equal(mine: Hits, theirs: Hits) -> bool:
    return mine.ids == theirs.ids and mine.distances.tobytes() == theirs.distances.tobytes()
