"""Compare what two indexes hold, and how they rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._hits import Hits
from vecbridge._errors import SchemaMismatchError
from vecbridge.transfer._checksum import Checksum, Summing, checksum
from vecbridge.transfer._differences import (
    Differences,
    record_differences,
    schema_differences,
)
from vecbridge.transfer._source import Progress, index_batches, silent

_SAMPLE_SEED = 20


@dataclass(frozen=True)
class Verified:
    """The result of comparing two indexes.

    Attributes:
        first: checksum of the first.
        second: checksum of the second.
        queries: how many rankings were compared.
        differing: queries whose ids, order or distances (to the last bit) differ, by number.
        certified: whether every answer of both was certified exact.
        differences: what differs in their schemas and records.
    """

    first: Checksum
    second: Checksum
    queries: int
    differing: tuple[int, ...]
    certified: bool
    differences: Differences

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
    progress: Progress = silent,
) -> Verified:
    """Compare two indexes: every record, and the ranking of sampled queries, bit for bit.

    Streams in bounded memory. Each is read once; only where the checksums differ are they read
    again, to find out which records do. Neither should be written to meanwhile.

    Args:
        first: an index.
        second: another one, of any store.
        queries: how many records of the first are searched for in both.
        k: how many hits of each are compared.
        limit: how many missing, extra and changed records are named, each.
        drop_unsupported: compare without what ``info.unsupported`` of either names, which no read
            shows.
        progress: called after each batch.

    Raises:
        InvalidArgumentError: ``queries`` or ``limit`` is negative, or ``k`` below 1.
        SchemaMismatchError: their dimensions differ, so that nothing of them compares.
        UnsupportedError: one holds what cannot be compared, and ``drop_unsupported`` was not asked
            for.
    """
    if queries:
        validate.positive(queries, "queries")
    if limit:
        validate.positive(limit, "limit")
    validate.positive(k, "k")
    if first.info.dimension != second.info.dimension:
        raise SchemaMismatchError(
            f"index {first.info.name!r} has {first.info.dimension} dimensions and index "
            f"{second.info.name!r} has {second.info.dimension}; they hold other vectors"
        )
    for index in (first, second):
        validate.refuse_unsupported(index.info, "It cannot be compared", dropped=drop_unsupported)
    one, asked = _summed_and_sampled(first, queries, progress)
    other = checksum(second, progress=progress)
    answers = list(
        zip(
            first.search(asked, k, consistency="strong"),
            second.search(asked, k, consistency="strong"),
            strict=True,
        )
    )
    differing = tuple(row for row, pair in enumerate(answers) if not _equal(*pair))
    certified = all(mine.exact and theirs.exact for mine, theirs in answers)
    found = Differences()
    if one != other:
        found = record_differences((first, one), (second, other), limit=limit, progress=progress)
    found = replace(found, schema=schema_differences(first, second))
    return Verified(one, other, len(asked), differing, certified, found)


def _summed_and_sampled(
    index: Index, wanted: int, progress: Progress
) -> tuple[Checksum, NDArray[np.float32]]:
    """Return the checksum, and vectors of records spread over the index; always the same ones."""
    total = index.count(consistency="strong")
    rows = np.random.default_rng(_SAMPLE_SEED).choice(total, min(wanted, total), replace=False)
    rows.sort()
    summing, start = Summing(index.info.dimension), 0
    taken = [np.empty((0, index.info.dimension), np.float32)]
    for records in index_batches(index, "reading", progress):
        summing.add(records)
        here = rows[(rows >= start) & (rows < start + len(records))] - start
        taken.append(records.vectors[here])
        start += len(records)
    return summing.result(), np.concatenate(taken)


def _equal(mine: Hits, theirs: Hits) -> bool:
    return mine.ids == theirs.ids and mine.distances.tobytes() == theirs.distances.tobytes()
