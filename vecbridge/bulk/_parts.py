"""What is done about one partition: each of these may be called again, and does the same again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np

from vecbridge._client import Index, Scan
from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._contract._records import Records
from vecbridge._errors import IndexExistsError, InvalidArgumentError, SchemaMismatchError
from vecbridge.bulk._checksum import Checksum, Summing
from vecbridge.bulk._plan import Partition
from vecbridge.bulk._running import Throttle, Tick, untold

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Digest:
    """The checksum of a partition of an index.

    Attributes:
        number: of the partition.
        checksum: the checksum of its records.
    """

    number: int
    checksum: Checksum

    @property
    def records(self) -> int:
        """Return how many records it has."""
        return self.checksum.records


@dataclass(frozen=True)
class Sent:
    """The result of copying a partition.

    Attributes:
        number: of the partition.
        written: records that were written to the target.
        skipped: records that the target had already.
        checksum: of the records of the source.
    """

    number: int
    written: int
    skipped: int
    checksum: Checksum

    @property
    def records(self) -> int:
        """Return how many records the source has there."""
        return self.checksum.records


@dataclass(frozen=True)
class Compared:
    """What a partition of a copy that was cut short holds, and whether that is all of it."""

    number: int
    checksum: Checksum
    done: bool

    @property
    def records(self) -> int:
        """Return how many records the copy has there."""
        return self.checksum.records


def digest_part(index: Index, part: Partition, *, tick: Tick = untold) -> Digest:
    """Sum up a partition of an index.

    Args:
        index: the index to read.
        part: a partition of its plan, or of another index's.
        tick: called with the number of records of each batch.
    """
    summing = Summing(index.info.dimension)
    for records in scan_of(index, part):
        summing.add(records)
        tick(len(records))
    return Digest(part.number, summing.result())


def copy_part(
    source: Index,
    target: Index,
    part: Partition,
    *,
    careful: bool = False,
    drop_unsupported: bool = False,
    tick: Tick = untold,
) -> Sent:
    """Copy a partition to another index. Calling it again writes the same records again.

    Args:
        source: the index to copy from.
        target: an index of the same schema.
        part: a partition of the source's plan.
        careful: send only records that the target does not have; those that it has are known to be
            the same.
        drop_unsupported: as for :func:`vecbridge.transfer.copy`.
        tick: called with the number of records of each batch.

    Raises:
        InvalidArgumentError: ``part`` is not a partition.
        SchemaMismatchError: the target has another dimension or metric; nothing was written.
        BackendError: a store failed; a write that the store asks to retry later is retried for a
            minute.
    """
    _refuse_another_space(source, target)
    summing, throttle = Summing(source.info.dimension), Throttle()
    written = skipped = 0
    for records in scan_of(source, part):
        summing.add(records)
        new = _missing(target, records) if careful else records
        if len(new):
            fields = new.fields or None
            throttle.run(
                partial(
                    target.upsert, new.ids, new.vectors, fields, drop_unsupported=drop_unsupported
                )
            )
        written += len(new)
        skipped += len(records) - len(new)
        tick(len(records))
    return Sent(part.number, written, skipped, summing.result())


def _refuse_another_space(source: Index, target: Index) -> None:
    mine, theirs = source.info, target.info
    for what in ("dimension", "metric"):
        wanted, found = getattr(mine, what), getattr(theirs, what)
        if wanted != found:
            raise SchemaMismatchError(
                f"index {theirs.name!r} has {what} {found!r}, and its source {mine.name!r} has "
                f"{wanted!r}: it cannot be a copy of it"
            )


def scan_of(index: Index, part: Partition) -> Scan:
    """Return the records of a partition, in batches.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not isinstance(part, Partition):
        raise InvalidArgumentError(f"part must be a Partition; got {part!r}")
    return index.scan(start=part.start, stop=part.stop, consistency="strong")


def compare_part(source: Index, target: Index, part: Partition, *, tick: Tick) -> Compared:
    """Return what the target holds, and refuse what is not the beginning of this copy."""
    theirs = digest_part(target, part, tick=tick)
    if theirs.records:
        if digest_part(source, part) == theirs:
            return Compared(part.number, theirs.checksum, done=True)
        _refuse_others(source, target, part)
    return Compared(part.number, theirs.checksum, done=False)


def _refuse_others(source: Index, target: Index, part: Partition) -> None:
    summing = Summing(source.info.dimension)
    for records in scan_of(target, part):
        same = source.fetch(records.ids, consistency="strong")
        if same.missing:
            what = f"record {same.missing[0]!r} of it is not in the source"
        else:
            other = (summing.hashes(same) != summing.hashes(records)).any(axis=1)
            if not other.any():
                continue
            what = f"record {records.ids[int(other.argmax())]!r} of it differs from the source"
        raise IndexExistsError(
            f"the target has an index {target.info.name!r} that is not a part of this copy: "
            f"{what}. Nothing was written. Choose another name; or, where it is an earlier copy of "
            f"a source that was written to since, drop it and copy again"
        )


def fit_part(source: Index, target: Index, part: Partition, *, tick: Tick) -> Digest:
    """Refuse a partition of which the target does not hold every record."""
    held, summing = target.info, Summing(source.info.dimension)
    for records in scan_of(source, part):
        validate.id_column(records.ids, held)
        field_values.fields(records.fields, held, records.ids)
        summing.add(records)
        tick(len(records))
    return Digest(part.number, summing.result())


def count_mended(index: Index, records: int) -> int:
    """Return how many records an index has, after rows that its server doubled were made one.

    The last write of a worker that was killed may still be worked on by the server while another
    worker does it again. Milvus 2.3.5 was seen to count 11 717 records too many afterwards, of a
    million of which reads gave each once. A search looks at all rows, so that answers come short.

    Args:
        index: what was written.
        records: how many it should have. Only where it has more is anything mended.
    """
    found = index.count(consistency="strong")
    mend = getattr(index.engine, "mend_duplicates", None)
    if found <= records or mend is None:
        return found
    logger.warning(
        "index %r has %s records where %s were written: rows of one id are made one",
        index.info.name,
        f"{found:,}",
        f"{records:,}",
    )
    mend()
    return index.count(consistency="strong")


def _missing(copied: Index, records: Records) -> Records:
    """Return the records that the copy does not have yet; a record arrives whole or not at all."""
    rows = np.flatnonzero(~copied.contains(records.ids, consistency="strong"))
    return records.take(rows)
