"""Sum up what an index holds, and compare what two of them hold and how they rank."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._hits import Hits
from vecbridge._contract._records import Records
from vecbridge._errors import SchemaMismatchError
from vecbridge.transfer._source import Progress, index_batches, silent

_LANES = 2
_KEY_SEED = 0x7665_6362
_SAMPLE_SEED = 20


@dataclass(frozen=True)
class Checksum:
    """A digest of what an index holds, to be compared.

    Two indexes with the same records have the same checksum, in whatever order they give them. It
    finds accidents, not forgeries: a caller who chooses the vectors can make two that collide.

    Attributes:
        records: how many there are.
        digest: 32 hexadecimal digits over ids, vectors (bit for bit) and fields.
    """

    records: int
    digest: str


class Summing:
    """Adds up the hashes of records, modulo 2**64 in each of two lanes.

    A vector's hash is multilinear: the sum of its 32-bit words, each times a 64-bit key of its
    position. It is joined with the id's (BLAKE2b) before it is mixed, so that vectors that were
    swapped between ids show.

    Args:
        dimension: length of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        keys = np.random.default_rng(_KEY_SEED).integers(
            0, 2**64, (dimension, _LANES), dtype=np.uint64, endpoint=False
        )
        self._keys = keys | np.uint64(1)
        self._sums = np.zeros(_LANES, np.uint64)
        self._records = 0

    def add(self, records: Records) -> None:
        """Add records."""
        if len(records):
            self._sums += self.hashes(records).sum(axis=0, dtype=np.uint64)
            self._records += len(records)

    def hashes(self, records: Records) -> NDArray[np.uint64]:
        """Return the hashes of records, at least one: ``(n, 2)``."""
        words = np.ascontiguousarray(records.vectors).view(np.uint32).astype(np.uint64)
        return _mixed(_hashed(_names(records)) + words @ self._keys)

    def result(self) -> Checksum:
        """Return the checksum of what was added so far."""
        return Checksum(self._records, "".join(f"{int(lane):016x}" for lane in self._sums))


def checksum(
    index: Index, *, consistency: Consistency = "strong", progress: Progress = silent
) -> Checksum:
    """Sum up every record of an index, in bounded memory.

    What ``index.info.unsupported`` names is not in it.

    Args:
        index: what is read.
        consistency: level of the read.
        progress: called after each batch.

    Example:
        >>> import vecbridge
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=2)
        >>> index.upsert(["a"], [[1.0, 2.0]])
        >>> checksum(index).records
        1
    """
    summing = Summing(index.info.dimension)
    for records in index_batches(index, "reading", progress, consistency):
        summing.add(records)
    return summing.result()


@dataclass(frozen=True)
class Verified:
    """The result of comparing two indexes.

    Attributes:
        first: checksum of the first.
        second: checksum of the second.
        queries: how many rankings were compared.
        differing: queries whose ids, order or distances (to the last bit) differ, by number.
        certified: whether every answer of both was certified exact.
    """

    first: Checksum
    second: Checksum
    queries: int
    differing: tuple[int, ...]
    certified: bool

    @property
    def same(self) -> bool:
        """Return whether they hold the same records and ranked every query the same."""
        return self.first == self.second and not self.differing


def verify(
    first: Index,
    second: Index,
    *,
    queries: int = 20,
    k: int = 10,
    drop_unsupported: bool = False,
    progress: Progress = silent,
) -> Verified:
    """Compare two indexes: every record, and the ranking of sampled queries, bit for bit.

    Streams in bounded memory. Neither should be written to meanwhile.

    Args:
        first: an index.
        second: another one, of any store.
        queries: how many records of the first are searched for in both.
        k: how many hits of each are compared.
        drop_unsupported: compare without what ``info.unsupported`` of either names, which no read
            shows.
        progress: called after each batch.

    Raises:
        InvalidArgumentError: ``queries`` is negative, or ``k`` below 1.
        SchemaMismatchError: their dimensions differ, so that nothing of them compares.
        UnsupportedError: one holds what cannot be compared, and ``drop_unsupported`` was not asked
            for.
    """
    if queries:
        validate.positive(queries, "queries")
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
    return Verified(one, other, len(asked), differing, certified)


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


def _names(records: Records) -> list[bytes]:
    """Return what stands for each record beside its vector: its id, and its fields if any."""
    names = [name.encode() for name in records.ids]
    if not records.fields:
        return names
    keys = sorted(records.fields)
    heading = b"\0" + json.dumps(keys).encode()
    rows = zip(*(records.fields[key] for key in keys), strict=True)
    return [
        name + heading + json.dumps(row, default=datetime.isoformat).encode()
        for name, row in zip(names, rows, strict=True)
    ]


def _hashed(names: list[bytes]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(name, digest_size=8 * _LANES).digest() for name in names)
    return np.frombuffer(digests, "<u8").astype(np.uint64).reshape(len(names), _LANES)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix by SplitMix64's finaliser (Steele, Lea, Flood, 2014): a bit in changes all bits out."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
