"""Sum up what an index holds, so that it can be compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import Records
from vecbridge.bulk._reading import Progress, index_batches, silent

_LANES = 2
_KEY_SEED = 0x7665_6362


@dataclass(frozen=True)
class Checksum:
    """A digest of what an index holds, for comparison.

    Two indexes with the same records have the same checksum, in whatever order they return them. It
    detects accidents, not forgery: a caller who chooses the vectors can construct a collision.

    Checksums of parts that share no record add up to that of the whole, in any order;
    ``Checksum()`` is that of no records.

    Attributes:
        records: how many there are.
        digest: 32 hexadecimal digits over ids, vectors (bit for bit) and fields.

    Example:
        >>> one, other = Checksum(1, "8" + "0" * 31), Checksum(2, "9" + "0" * 30 + "7")
        >>> one + other
        Checksum(records=3, digest='10000000000000000000000000000007')
        >>> sum([one, other], Checksum()) == other + one
        True
    """

    records: int = 0
    digest: str = "0" * 16 * _LANES

    def __add__(self, other: Checksum) -> Checksum:
        if not isinstance(other, Checksum):
            return NotImplemented
        return Checksum(self.records + other.records, _digest(self._lanes() + other._lanes()))

    def _lanes(self) -> NDArray[np.uint64]:
        return np.frombuffer(bytes.fromhex(self.digest), ">u8").astype(np.uint64)


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

    def add(self, records: Records) -> NDArray[np.uint64]:
        """Add records, and return their hashes: ``(n, 2)``."""
        if not len(records):
            return np.empty((0, _LANES), np.uint64)
        hashes = self.hashes(records)
        self._sums += hashes.sum(axis=0, dtype=np.uint64)
        self._records += len(records)
        return hashes

    def hashes(self, records: Records) -> NDArray[np.uint64]:
        """Return the hashes of records, at least one: ``(n, 2)``."""
        words = np.ascontiguousarray(records.vectors).view(np.uint32).astype(np.uint64)
        return _mixed(_hashed(_names(records)) + words @ self._keys)

    def result(self) -> Checksum:
        """Return the checksum of what was added so far."""
        return Checksum(self._records, _digest(self._sums))


def checksum(
    index: Index,
    *,
    start: str | None = None,
    stop: str | None = None,
    consistency: Consistency = "strong",
    progress: Progress = silent,
) -> Checksum:
    """Sum up every record of an index, or of a range of ids, in bounded memory.

    The checksums of ranges add up: those of the ranges in ``index.partitions(n)`` to that of the
    index. So several processes can read a range each. Columns in ``index.info.unsupported`` are
    left out.

    Args:
        index: the index to read.
        start: only ids from this one on.
        stop: only ids before this one.
        consistency: level of the read.
        progress: called after each batch.

    Example:
        >>> import vecbridge
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=2)
        >>> index.upsert(["a"], [[1.0, 2.0]])
        >>> checksum(index).records
        1
        >>> checksum(index, stop="a") + checksum(index, start="a") == checksum(index)
        True
    """
    summing = Summing(index.info.dimension)
    batches = index_batches(index, "reading", progress, consistency, start=start, stop=stop)
    for records in batches:
        summing.add(records)
    return summing.result()


def _digest(sums: NDArray[np.uint64]) -> str:
    return "".join(f"{int(lane):016x}" for lane in sums)


def coded(value: object) -> str:
    """Return values of fields as they are hashed: two that differ in any way have two codes."""
    return json.dumps(value, default=datetime.isoformat)


def _names(records: Records) -> list[bytes]:
    """Return what stands for each record beside its vector: its id, and its fields if any."""
    names = [name.encode() for name in records.ids]
    if not records.fields:
        return names
    keys = sorted(records.fields)
    heading = b"\0" + json.dumps(keys).encode()
    rows = zip(*(records.fields[key] for key in keys), strict=True)
    return [name + heading + coded(row).encode() for name, row in zip(names, rows, strict=True)]


def _hashed(names: list[bytes]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(name, digest_size=8 * _LANES).digest() for name in names)
    return np.frombuffer(digests, "<u8").astype(np.uint64).reshape(len(names), _LANES)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix by SplitMix64's finaliser (Steele, Lea, Flood, 2014): a bit in changes all bits out."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
