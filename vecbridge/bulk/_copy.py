"""Copying an index from one store to another, partition by partition."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

from vecbridge._client import Index, Store
from vecbridge._client import _validate as validate
from vecbridge._client._tables import held_by
from vecbridge._contract._consistency import Consistency
from vecbridge._errors import CorruptStoreError, IndexExistsError
from vecbridge.bulk._checksum import Checksum
from vecbridge.bulk._lending import Lent, refuse_to_spread
from vecbridge.bulk._parts import (
    Compared,
    Digest,
    Sent,
    compare_part,
    copy_part,
    count_mended,
    digest_part,
    fit_part,
)
from vecbridge.bulk._plan import Partition, Plan, each_once, plan
from vecbridge.bulk._reading import Progress, silent
from vecbridge.bulk._running import Task, Tick, Told, run

logger = logging.getLogger(__name__)

_AGAIN = "Call again with resume=True (--resume for the command) to continue the copy"


@dataclass(frozen=True)
class Copied:
    """The result of a copy.

    Attributes:
        written: records written by this call.
        skipped: records that an interrupted copy had already written.
        checksum: of what both indexes hold.
        partitions: how many partitions the index was copied in.
        seconds: how long it took, reading back included.
    """

    written: int
    skipped: int
    checksum: Checksum
    partitions: int
    seconds: float


def finish(cut: Plan, sent: Iterable[Sent], read: Iterable[Digest], backend: str) -> Checksum:
    """Return the checksum of a copy if every partition arrived as it was sent.

    Args:
        cut: the plan of the copy.
        sent: what :func:`copy_part` reported of each partition.
        read: what :func:`digest_part` then read back of each partition of the target.
        backend: name of the target's store, for errors.

    Raises:
        InvalidArgumentError: a partition was reported twice or not at all, or a report has another
            type.
        CorruptStoreError: what was read back is not what was sent; it names the partitions. Or the
            source no longer has as many records as when the plan was made.
    """
    count = len(cut.partitions)
    pairs = list(zip(each_once(count, sent, Sent), each_once(count, read, Digest), strict=True))
    wrong = [
        f"{part}: the source gave {mine.records:,} records with checksum {mine.checksum.digest}, "
        f"the copy has {theirs.records:,} with {theirs.checksum.digest}"
        for part, (mine, theirs) in zip(cut.partitions, pairs, strict=True)
        if mine.checksum != theirs.checksum
    ]
    if wrong:
        more = f"; and {len(wrong) - 1} more partitions differ" if len(wrong) > 1 else ""
        raise _corrupt(cut, f"{wrong[0]}{more}", backend)
    total = sum((theirs.checksum for _, theirs in pairs), Checksum())
    if total.records != cut.records:
        raise _corrupt(
            cut,
            f"the source had {cut.records:,} records when the plan was made, and "
            f"{total.records:,} were sent",
            backend,
        )
    return total


def copy(
    source: Index,
    target: Store,
    name: str | None = None,
    *,
    resume: bool = False,
    drop_unsupported: bool = False,
    consistency: Consistency | None = None,
    executor: Executor | None = None,
    partitions: int | None = None,
    progress: Progress = silent,
) -> Copied:
    """Copy an index to another store, and verify that the copy is complete.

    Streams in bounded memory, partition by partition. If a copy is interrupted, even by a kill,
    repeat the call with ``resume=True`` to finish it: records that the target has are compared with
    the source first, and not sent again. At the end, the copy is read back and compared with what
    was read from the source, by count and by checksum.

    Args:
        source: the index to copy. It should not be written to meanwhile: records that are added or
            removed are detected by their number; one that is replaced after its partition was read
            is not.
        target: the store to copy to.
        name: the copy's name; the source's by default.
        resume: continue an interrupted copy.
        drop_unsupported: copy without the columns in ``source.info.unsupported``.
        consistency: default level of the copy's reads; by default the source's, if the target has
            it.
        executor: where partitions are processed: a :class:`vecbridge.bulk.WorkerPool` or any other
            executor; by default this process. The workers open both stores by their settings.
        partitions: number of partitions; see :func:`vecbridge.bulk.plan`.
        progress: called after each batch, or after each partition on an executor.

    Raises:
        IndexExistsError: the target has an index of that name that holds records, and ``resume`` is
            ``False`` or the records are not the source's; nothing was written.
        SchemaMismatchError: it has another dimension or metric.
        InvalidInputError: it holds less than the source, and a record does not fit; nothing was
            written.
        UnsupportedError: the source holds what the contract cannot express, and
            ``drop_unsupported`` is ``False``; or, on an executor, a store is in memory, or the
            target has one writer. Nothing was written.
        CorruptStoreError: what was read back is not what was written.
        PartitionsFailedError: some partitions failed on the executor; call again with
            ``resume=True``.
        BackendError: a store failed; call again with ``resume=True``.
    """
    began = time.monotonic()
    info = source.info
    validate.refuse_unsupported(info, "The copy would be without it", dropped=drop_unsupported)
    called = info.name if name is None else name
    if executor is not None:
        refuse_to_spread(source, target)
        _try_a_worker(source, target, executor)
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
                f"or continue an interrupted copy (resume=True; --resume for the command)"
            )
        cut = plan(source, partitions, beside=copied, spread=executor is not None)
        job = _Job(source, copied, cut, executor, target.name, progress)
        compared = job.compared(there) if there else {}
        if held_by(copied.info) not in (held_by(info), held_by(None)):
            job.refuse_misfits()
        sent = job.sent(compared, drop_unsupported=drop_unsupported)
        read = job.read_back(compared)
        checksum = finish(cut, sent, read, target.name)
        there = count_mended(copied, checksum.records)
        counts = source.count(consistency="strong"), there
    if counts != (checksum.records, checksum.records):
        raise _corrupt(
            cut,
            f"{checksum.records:,} records were read from the source and from the copy, and now "
            f"the source has {counts[0]:,} and the copy {counts[1]:,}",
            target.name,
        )
    written, skipped = (
        sum(getattr(each, what) for each in sent) for what in ("written", "skipped")
    )
    seconds = time.monotonic() - began
    return Copied(written, skipped, checksum, len(cut.partitions), seconds)


def _try_a_worker(source: Index, target: Store, executor: Executor) -> None:
    """Let a worker open both stores: a secret that it lacks shows before an index is made."""
    task = Task(_opened_there, (Lent(source),), {"target": pickle.dumps(target)})
    told = Told("opening the stores on a worker", 1, silent, again=_AGAIN)
    run(task, (Partition(0, None, None, 0),), told, executor, target.name)


def _opened_there(source: Index, part: Partition, *, target: bytes, tick: Tick) -> Digest:
    with pickle.loads(target) as store:  # noqa: S301 - the caller's own, as an executor loads it
        # It is made at its first use.
        _ = store.backend
    _ = source.info
    tick(1)
    return Digest(part.number, Checksum())


class _Job:
    """The steps of a copy, each over the partitions that need it."""

    def __init__(
        self,
        source: Index,
        copied: Index,
        cut: Plan,
        executor: Executor | None,
        backend: str,
        progress: Progress,
    ) -> None:
        self._name = copied.info.name
        self._source, self._copied = Lent(source), Lent(copied)
        self._cut, self._count = cut, len(cut.partitions)
        self._executor = executor
        self._backend = backend
        self._progress = progress

    def compared(self, there: int) -> dict[int, Compared]:
        """Return what the copy holds of each partition, all of it the source's."""
        task = Task(compare_part, (self._source, self._copied))
        told = self._told("comparing", there)
        found = run(task, self._cut.partitions, told, self._executor, self._backend)
        return {each.number: each for each in each_once(self._count, found, Compared)}

    def refuse_misfits(self) -> None:
        """Refuse a source of which the copy does not hold every record, before any is written."""
        task = Task(fit_part, (self._source, self._copied))
        told = self._told("checking", self._cut.records)
        found = run(task, self._cut.partitions, told, self._executor, self._backend)
        each_once(self._count, found, Digest)

    def sent(self, compared: dict[int, Compared], *, drop_unsupported: bool) -> list[Sent]:
        """Send the partitions that are not there as a whole, and return what is known of all."""
        told = self._told("copying", self._cut.records)
        sent = []
        for each in compared.values():
            if each.done:
                sent.append(Sent(each.number, 0, each.records, each.checksum))
                told.add(each.records)
        try:
            for careful in (True, False):
                task = Task(
                    copy_part,
                    (self._source, self._copied),
                    {"careful": careful, "drop_unsupported": drop_unsupported},
                )
                parts = [part for part in self._open(compared) if _begun(compared, part) == careful]
                sent += run(task, parts, told, self._executor, self._backend)
        except BaseException:
            if told.done:
                logger.warning(
                    "the copy was interrupted: at least %s of %s records are in index %r of %s; "
                    "continue it with resume=True (--resume for the command)",
                    f"{told.done:,}",
                    f"{self._cut.records:,}",
                    self._name,
                    self._backend,
                )
            raise
        return sent

    def read_back(self, compared: dict[int, Compared]) -> list[Digest]:
        """Return what the copy holds of every partition; those that were whole were read before."""
        task = Task(digest_part, (self._copied,))
        known = [Digest(each.number, each.checksum) for each in compared.values() if each.done]
        parts = self._open(compared)
        told = self._told("reading", sum(part.records for part in parts))
        return known + run(task, parts, told, self._executor, self._backend)

    def _told(self, stage: str, total: int) -> Told:
        return Told(stage, total, self._progress, again=_AGAIN)

    def _open(self, compared: dict[int, Compared]) -> list[Partition]:
        done = {each.number for each in compared.values() if each.done}
        return [part for part in self._cut.partitions if part.number not in done]


def _begun(compared: dict[int, Compared], part: Partition) -> bool:
    return part.number in compared and compared[part.number].records > 0


def _corrupt(cut: Plan, what: str, backend: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"the copy of index {cut.index!r} differs from its source: {what}. Was one of them written "
        f"to meanwhile? Drop the copy and copy again",
        backend=backend,
        operation="copy",
    )
