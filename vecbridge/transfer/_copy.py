"""Copying an index from one store to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import Records
from vecbridge._errors import CorruptStoreError, IndexExistsError
from vecbridge._front._index import Index
from vecbridge._front._store import Store
from vecbridge.transfer._checksum import Checksum, Summing, checksum
from vecbridge.transfer._progress import Progress, silent


@dataclass(frozen=True)
class Copied:
    """What a copy did.

    Attributes:
        written: records written by this call.
        skipped: records that were there already, from a copy that was cut short.
        checksum: of what both indexes hold.
    """

    written: int
    skipped: int
    checksum: Checksum


def copy(
    source: Index,
    target: Store,
    name: str | None = None,
    *,
    resume: bool = False,
    consistency: Consistency | None = None,
    progress: Progress = silent,
) -> Copied:
    """Copies an index to another store, and proves that the copy is whole.

    Streams in bounded memory. A copy that was cut short, by a kill for one, is finished by the
    same call with ``resume=True``: records that arrived are not sent again. At the end the copy is
    read back and compared with what was read from the source, by count and by checksum.

    Args:
        source: what is copied. It should not be written to meanwhile.
        target: where to.
        name: the copy's name; the source's by default.
        resume: go on with a copy that was cut short.
        consistency: default level of the copy's reads; the source's where the target has it.
        progress: called after each batch.

    Raises:
        IndexExistsError: the target has an index of that name that holds records, and ``resume``
            was not asked for.
        SchemaMismatchError: it has another dimension or metric.
        CorruptStoreError: what was read back is not what was written.
        BackendError: a store failed; call again with ``resume=True``.
    """
    info = source.info
    called = info.name if name is None else name
    with target.open_or_create_index(
        called,
        dimension=info.dimension,
        metric=info.metric,
        fields=dict(info.fields),
        consistency=consistency,
    ) as copied:
        there = copied.count(consistency="strong")
        if there and not resume:
            raise IndexExistsError(
                f"the target has an index {called!r} with {there:,} records: choose another name, "
                f"or go on with a copy that was cut short (resume=True; --resume for the command)"
            )
        read, written, skipped = _send(source, copied, careful=bool(there), progress=progress)
        arrived = checksum(copied, progress=progress)
    if arrived != read:
        raise CorruptStoreError(
            f"index {called!r} was copied, but is not the same: the source gave {read.records:,} "
            f"records with checksum {read.digest}, the copy has {arrived.records:,} with "
            f"{arrived.digest}. Was one of them written to meanwhile? Drop the copy and copy again",
            backend=target.name,
            operation="copy",
        )
    return Copied(written, skipped, arrived)


def _send(
    source: Index, copied: Index, *, careful: bool, progress: Progress
) -> tuple[Checksum, int, int]:
    summing = Summing(source.info.dimension)
    total = source.count(consistency="strong")
    written = skipped = 0
    for records in source.scan(consistency="strong"):
        summing.add(records)
        missing = _missing(copied, records) if careful else records
        if len(missing):
            copied.upsert(missing.ids, missing.vectors, missing.fields or None)
        written += len(missing)
        skipped += len(records) - len(missing)
        progress("copying", written + skipped, total)
    return summing.result(), written, skipped


def _missing(copied: Index, records: Records) -> Records:
    """The records that the copy does not have yet; a record arrives whole or not at all."""
    there = copied.contains(records.ids, consistency="strong")
    rows = np.flatnonzero(~there)
    if len(rows) == len(records):
        return records
    picked = rows.tolist()
    return Records(
        tuple(records.ids[row] for row in picked),
        records.vectors[rows],
        {key: [column[row] for row in picked] for key, column in records.fields.items()},
    )
