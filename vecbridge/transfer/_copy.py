"""Copying an index from one store to another."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from vecbridge._client import Index, Store
from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client._tables import held_by
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import CorruptStoreError, IndexExistsError
from vecbridge.transfer._checksum import Checksum, Summing, checksum
from vecbridge.transfer._source import Progress, index_batches, silent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """The result of a copy.

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
    drop_unsupported: bool = False,
    consistency: Consistency | None = None,
    progress: Progress = silent,
) -> Copied:
    """Copy an index to another store, and prove that the copy is whole.

    Streams in bounded memory. A copy that was cut short, by a kill for one, is finished by the
    same call with ``resume=True``: what is there is compared with the source first, and is not sent
    again. At the end the copy is read back and compared with what was read from the source, by
    count and by checksum.

    Args:
        source: what is copied. It should not be written to meanwhile.
        target: where to.
        name: the copy's name; the source's by default.
        resume: go on with a copy that was cut short.
        drop_unsupported: copy without what ``source.info.unsupported`` names.
        consistency: default level of the copy's reads; the source's where the target has it.
        progress: called after each batch.

    Raises:
        IndexExistsError: the target has an index of that name that holds records, and ``resume``
            was not asked for, or they are not the source's; nothing was written.
        SchemaMismatchError: it has another dimension or metric.
        InvalidInputError: it holds less than the source, and a record does not fit; nothing was
            written.
        UnsupportedError: the source holds what the contract cannot express, and
            ``drop_unsupported`` was not asked for; nothing was written.
        CorruptStoreError: what was read back is not what was written.
        BackendError: a store failed; call again with ``resume=True``.
    """
    info = source.info
    validate.refuse_unsupported(info, "The copy would be without it", dropped=drop_unsupported)
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
        if there:
            _refuse_others(source, copied, progress)
        if held_by(copied.info) not in (held_by(info), held_by(None)):
            _refuse_misfits(source, copied.info, progress)
        summing = Summing(info.dimension)
        written, skipped = _send(
            source,
            copied,
            summing,
            progress,
            careful=there > 0,
            dropped=drop_unsupported,
            place=f"index {called!r} of {target.name}",
        )
        read, arrived = summing.result(), checksum(copied, progress=progress)
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
    source: Index,
    copied: Index,
    summing: Summing,
    progress: Progress,
    *,
    careful: bool,
    dropped: bool,
    place: str,
) -> tuple[int, int]:
    """Send the records that the copy does not have; return how many, and how many it had.

    ``summing`` takes all of them. With ``careful``, the copy may have some; ``place`` is its name
    in the log.
    """
    written = skipped = 0
    total = source.count(consistency="strong")
    try:
        for records in source.scan(consistency="strong"):
            summing.add(records)
            missing = _missing(copied, records) if careful else records
            if len(missing):
                fields = missing.fields or None
                copied.upsert(missing.ids, missing.vectors, fields, drop_unsupported=dropped)
            written += len(missing)
            skipped += len(records) - len(missing)
            progress("copying", written + skipped, total)
    except BaseException:
        if written + skipped:
            logger.warning(
                "the copy was cut short: %s of %s records are in %s; resume=True (--resume for "
                "the command) goes on with it",
                f"{written + skipped:,}",
                f"{total:,}",
                place,
            )
        raise
    return written, skipped


def _refuse_others(source: Index, copied: Index, progress: Progress) -> None:
    """Refuse to go on with what is not the beginning of this copy, before anything is written."""
    summing = Summing(source.info.dimension)
    for records in index_batches(copied, "comparing", progress):
        same = source.fetch(records.ids, consistency="strong")
        if same.missing:
            what = f"record {same.missing[0]!r} of it is not in the source"
        else:
            other = (summing.hashes(same) != summing.hashes(records)).any(axis=1)
            if not other.any():
                continue
            what = f"record {records.ids[int(other.argmax())]!r} of it is another in the source"
        raise IndexExistsError(
            f"the target has an index {copied.info.name!r} that is not a part of this copy: "
            f"{what}. Nothing was written. Choose another name; or, where it is an earlier copy of "
            f"a source that was written to since, drop it and copy again"
        )


def _refuse_misfits(source: Index, held: IndexInfo, progress: Progress) -> None:
    """Refuse a source of which the target does not hold every record, before any is written."""
    for records in index_batches(source, "checking", progress):
        validate.id_column(records.ids, held.max_id_bytes)
        field_values.fields(records.fields, held, records.ids)


def _missing(copied: Index, records: Records) -> Records:
    """Return the records that the copy does not have yet; a record arrives whole or not at all."""
    rows = np.flatnonzero(~copied.contains(records.ids, consistency="strong"))
    return records.take(rows)
