"""Records made and written part by part: embeddings of files, on as many workers as there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from vecbridge._client import Index
from vecbridge._client import _vector_values as vector_values
from vecbridge._contract._records import Fields
from vecbridge._errors import CorruptStoreError, DuplicateIdError, InvalidInputError
from vecbridge.bulk._checksum import Checksum, Summing, checksum
from vecbridge.bulk._lending import Lent, backend_of, refuse_stationary
from vecbridge.bulk._parts import Sent, count_mended
from vecbridge.bulk._plan import each_once
from vecbridge.bulk._reading import Progress, silent
from vecbridge.bulk._running import Task, Throttle, Tick, Told, run

T = TypeVar("T")

Batch: TypeAlias = tuple[Sequence[str], Any] | tuple[Sequence[str], Any, Fields]
"""Ids, vectors, and fields if there are any, as :meth:`vecbridge.Index.upsert` takes them."""


@dataclass(frozen=True)
class Written:
    """The result of writing.

    Attributes:
        written: records that this call made and wrote.
        skipped: records that existed already.
        checksum: checksum of the records of all items, as they were read back.
    """

    written: int
    skipped: int
    checksum: Checksum


@dataclass(frozen=True)
class _Item(Generic[T]):
    number: int
    value: T

    def __str__(self) -> str:
        return f"item {self.number}"


def write(
    index: Index,
    items: Iterable[T],
    embed: Callable[[T], Batch],
    *,
    names: Callable[[T], Sequence[str]] | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Written:
    """Make records from items, write them, and verify that all of them arrived.

    If a worker or the program is killed, unfinished work is done again, and each record is stored
    once. With ``names``, a second call skips the items whose records all exist.

    Args:
        index: the index to write to.
        items: what records are made from, such as lists of files; a few thousand records per item.
        embed: makes the records of an item. It runs on the worker, which imports it by name; keep a
            model there between calls, for example with ``functools.cache``.
        names: returns the ids of the records of an item without making them: the same ids as
            ``embed`` gives, in any order.
        executor: where items are processed; by default this process.
        progress: called after each item, with the number of items.

    Raises:
        InvalidInputError: the index rejects a record, or ``embed`` gave another number of vectors
            than of ids, or other ids than ``names`` gave; what was written before it stays.
        DuplicateIdError: two items have a record of the same id.
        UnsupportedError: on an executor, the index is in memory.
        CorruptStoreError: what was read back is not what was written.
        PartitionsFailedError: some items failed on the executor; call again.

    Example:
        >>> import vecbridge
        >>> from vecbridge.bulk import write
        >>> index = vecbridge.get_backend("sklearn").create_index("letters", dimension=1)
        >>> write(index, ["ab", "cde"], lambda word: ([*word], [[1]] * len(word))).written
        5
    """
    if executor is not None:
        refuse_stationary(index)
    work = [_Item(at, value) for at, value in enumerate(items)]
    before = index.count(consistency="strong")
    task = Task(_write_item, (Lent(index),), {"embed": embed, "names": names})
    told = Told("writing", len(work), progress, by_part=True)
    reports = run(task, work, told, executor, backend_of(index))
    done = each_once(len(work), reports, Sent)
    total = sum((each.checksum for each in done), Checksum())
    written, skipped = (
        sum(getattr(each, what) for each in done) for what in ("written", "skipped")
    )
    # Beside records of before, more of them say nothing.
    there = index.count(consistency="strong") if before else count_mended(index, total.records)
    if there < total.records:
        raise DuplicateIdError(
            f"the items have {total.records:,} records, and index {index.info.name!r} has "
            f"{there:,}: some have the same id, and the last one that was written is kept"
        )
    # All of it is of these items: then nothing was lost since it was read back, either.
    if not before and (there, checksum(index)) != (total.records, total):
        raise _corrupt(index, "does not hold what was read back of the items")
    return Written(written, skipped, total)


def _write_item(
    index: Index,
    item: _Item[T],
    *,
    embed: Callable[[T], Batch],
    names: Callable[[T], Sequence[str]] | None,
    tick: Tick,
) -> Sent:
    summing = Summing(index.info.dimension)
    told: list[str] | None = None
    if names is not None:
        told = list(names(item.value))
        known = index.fetch(told, consistency="strong")
        if not known.missing:
            summing.add(known)
            tick(1)
            return Sent(item.number, 0, len(known), summing.result())
    ids, vectors, *fields = embed(item.value)
    ids = list(ids)
    array = vector_values.vectors(vectors, dimension=index.info.dimension, ids=ids)
    if len(ids) != len(array):
        raise InvalidInputError(f"embed gave {len(ids):,} ids and {len(array):,} vectors of {item}")
    if told is not None and sorted(told) != sorted(ids):
        # Otherwise the next call would not find what this one wrote, and make it again.
        raise InvalidInputError(
            f"embed and names gave different ids for {item}: {len(ids):,} and {len(told):,}, "
            f"{_strange(told, ids)}"
        )
    Throttle().run(partial(index.upsert, ids, array, *fields))
    back = index.fetch(ids, consistency="strong")
    if back.ids != tuple(ids) or not np.array_equal(
        back.vectors.view(np.uint32), np.ascontiguousarray(array).view(np.uint32)
    ):
        raise _corrupt(index, f"does not hold what was written of {item}")
    summing.add(back)
    tick(1)
    return Sent(item.number, len(ids), 0, summing.result())


def _strange(told: list[str], given: list[str]) -> str:
    one = min({*told} ^ {*given}, default=None)
    return "some more than once" if one is None else f"{one!r} in only one of them"


def _corrupt(index: Index, what: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"index {index.info.name!r} {what}. Was it written to meanwhile?",
        backend=backend_of(index),
        operation="write",
    )
