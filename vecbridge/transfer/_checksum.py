"""One number for what an index holds, whatever the order in which it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import Records
from vecbridge.transfer._progress import Progress, silent

_LANES = 2
_SEED = 0x7665_6362


@dataclass(frozen=True)
class Checksum:
    """What an index holds, in a form that can be compared.

    Two indexes with the same records have the same checksum, in whatever order they give them. It
    finds accidents, not forgeries: who can choose the vectors can make two that collide.

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
        keys = np.random.default_rng(_SEED).integers(
            0, 2**64, (dimension, _LANES), dtype=np.uint64, endpoint=False
        )
        self._keys = keys | np.uint64(1)
        self._sums = np.zeros(_LANES, np.uint64)
        self._records = 0

    def add(self, records: Records) -> None:
        """Add records."""
        if not len(records):
            return
        words = np.ascontiguousarray(records.vectors).view(np.uint32).astype(np.uint64)
        mixed = _mixed(_hashed(_names(records)) + words @ self._keys)
        self._sums += mixed.sum(axis=0, dtype=np.uint64)
        self._records += len(records)

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
    total = index.count(consistency=consistency)
    for records in batches(index, total, consistency, progress):
        summing.add(records)
    return summing.result()


def batches(
    index: Index, total: int, consistency: Consistency, progress: Progress
) -> Iterator[Records]:
    """Yield every record of an index, with progress after each batch.

    Args:
        index: what is read.
        total: how many records there are.
        consistency: level of the read.
        progress: called after each batch.
    """
    done = 0
    for records in index.scan(consistency=consistency):
        yield records
        done += len(records)
        progress("reading", done, total)


def _names(records: Records) -> list[bytes]:
    """Return what stands for each record beside its vector: its id, and its fields if any."""
    names = [name.encode() for name in records.ids]
    if not records.fields:
        return names
    keys = sorted(records.fields)
    heading = b"\0" + json.dumps(keys).encode()
    rows = zip(*(records.fields[key] for key in keys), strict=True)
    return [
        name + heading + json.dumps(row).encode() for name, row in zip(names, rows, strict=True)
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
