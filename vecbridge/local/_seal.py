"""Checksums of rows: over every value, so that no value can change or change places unnoticed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import TypeAlias

Buffer: TypeAlias = "bytes | memoryview[int]"


def seal(*values: object) -> int:
    """Return a checksum of a row's values that fits SQLite's integers.

    Args:
        values: integers, strings and bytes, small ones.
    """
    digest = hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little", signed=True)


def seal_blobs(values: Sequence[object], blobs: Sequence[Buffer]) -> int:
    """Return a checksum of a row with large blobs, at the speed of CRC-32.

    Args:
        values: integers and bytes, small ones, that say which row it is.
        blobs: what it holds.
    """
    described = (*values, *(len(blob) for blob in blobs))
    checksum = zlib.crc32(repr(described).encode())
    for blob in blobs:
        checksum = zlib.crc32(blob, checksum)
    return checksum


def total(*seals: int) -> int:
    """Return the sum of seals, wrapped to what fits SQLite's integers."""
    return (sum(seals) + (1 << 63)) % (1 << 64) - (1 << 63)
