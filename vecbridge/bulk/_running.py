"""Work on the partitions of an index: in this process, or on any executor."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from vecbridge._errors import BackendError, PartitionsFailedError, VecbridgeError
from vecbridge._redaction import error_message
from vecbridge.bulk._lending import Lent
from vecbridge.bulk._plan import Part
from vecbridge.bulk._reading import Progress

logger = logging.getLogger(__name__)


class Numbered(Protocol):
    """A part of the work that a worker is given."""

    @property
    def number(self) -> int:
        """Return its place among the parts, from 0."""
        ...


P = TypeVar("P", bound=Part)
N = TypeVar("N", bound=Numbered)
T = TypeVar("T")
Tick = Callable[[int], None]
"""Called with how many records were worked on since the call before."""

_MOST_NAMED = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_PAUSES = (5.0, 20.0)
"""Seconds before a worker does a partition again that the store was too busy for."""

_PATIENCE_SECONDS = 60.0
"""How long a write is tried again; the backend has its own patience with a server before that."""


@dataclass(frozen=True)
class Task(Generic[P]):
    """A function over a partition of indexes, which are opened where it runs.

    Attributes:
        function: called with the indexes, the partition, ``tick`` and the options.
        indexes: what it works on.
        options: keywords of the function.
    """

    function: Callable[..., P]
    indexes: tuple[Lent, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, part: Numbered, tick: Tick) -> P:
        # In this process, an error is the caller's to see at once.
        pauses = _PAUSES if tick is untold else ()
        with ExitStack() as stack:
            opened = [stack.enter_context(each.opened()) for each in self.indexes]
            for pause in pauses:
                try:
                    return self.function(*opened, part, tick=tick, **self.options)
                except BackendError as error:
                    if not error.retryable:
                        raise
                time.sleep(pause)
            return self.function(*opened, part, tick=tick, **self.options)


class Throttle:
    """Writes as fast as the store takes it: a pause that refusals double and successes halve.

    A refusal is an error that the store calls retryable.
    """

    def __init__(self) -> None:
        self._pause = 0.0

    def run(self, write: Callable[[], T]) -> T:
        """Write, again and again where the store asks for patience.

        Raises:
            BackendError: the store refuses for good, or for a minute.
        """
        waited = 0.0
        while True:
            time.sleep(self._pause)
            waited += self._pause
            try:
                done = write()
            except BackendError as error:
                if not error.retryable or waited >= _PATIENCE_SECONDS:
                    raise
                longer = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
                # Workers that were refused at once should not come back at once.
                self._pause = longer * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            else:
                self._pause = self._pause / 2 if self._pause > _FIRST_PAUSE / 8 else 0.0
                return done


class Told:
    """Tells how much of a stage is done.

    Args:
        stage: what is being done, in a word.
        total: how many records there are to work on, or parts.
        progress: called with it.
        by_part: whether parts are counted, where the number of records is not known before.
        again: how the caller goes on where some of it failed.
    """

    def __init__(
        self,
        stage: str,
        total: int,
        progress: Progress,
        *,
        by_part: bool = False,
        again: str = "Call again",
    ) -> None:
        self.stage = stage
        self.again = again
        self.by_part = by_part
        self.done = 0
        self._total = total
        self._progress = progress

    def add(self, records: int) -> None:
        """Tell of more records."""
        self.done += records
        self._progress(self.stage, self.done, max(self._total, self.done))


def run(
    work: Callable[[N, Tick], P],
    parts: Iterable[N],
    told: Told,
    executor: Executor | None,
    backend: str,
) -> list[P]:
    """Return what the work reports of each partition, in any order.

    In this process, the first error ends it. On an executor, partitions whose store or worker
    fails cost themselves and no others.

    Args:
        work: a function that pickles, and may be called again for a partition.
        parts: the partitions.
        told: counts the progress.
        executor: where it runs; ``None`` for this process.
        backend: name of the store that is worked on, for errors.

    Raises:
        PartitionsFailedError: some failed on the executor, or it was shut down before they began.
        VecbridgeError: what the work raises that is no failure of a store, or in this process.
    """
    if executor is None:
        return [work(part, told.add) for part in parts]
    wanted = list(parts)
    futures: dict[Future[P], N] = {}
    # Not as_completed: it sleeps on where an executor that is shut down cancels what waits.
    ended: SimpleQueue[Future[P]] = SimpleQueue()
    done: list[P] = []
    failed: dict[int, Exception] = {}
    try:
        for part in wanted:
            try:
                future = executor.submit(work, part, untold)
            except RuntimeError as error:
                # It was shut down, or its workers are gone.
                failed |= {each.number: error for each in wanted[len(futures) :]}
                break
            futures[future] = part
            future.add_done_callback(ended.put)
        for _ in futures.copy():
            future = ended.get()
            part = futures[future]
            try:
                report = future.result()
            except Exception as error:
                # It would be the same for the others.
                if isinstance(error, VecbridgeError) and not isinstance(error, BackendError):
                    raise
                logger.warning("%s: %s failed: %s", told.stage, part, _message(error))
                failed[part.number] = error
            else:
                done.append(report)
                told.add(1 if told.by_part else report.records)
    finally:
        for future in futures:
            future.cancel()
    if failed:
        raise _failure(failed, len(wanted), told, backend)
    return done


def untold(records: int) -> None:
    """Stand for the progress where it is not shown."""


def _failure(
    failed: dict[int, Exception], count: int, told: Told, backend: str
) -> PartitionsFailedError:
    reasons = {number: _message(failed[number]) for number in sorted(failed)}
    named = "; ".join(f"{number}: {why}" for number, why in [*reasons.items()][:_MOST_NAMED])
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    error = PartitionsFailedError(
        f"{told.stage}: {len(failed)} of {count} partitions failed ({named}{more}). What is done "
        f"stays done. {told.again}",
        backend=backend,
        operation=told.stage,
        failed=reasons,
        retryable=all(getattr(each, "retryable", True) for each in failed.values()),
    )
    error.__cause__ = next(iter(failed.values()))
    return error


def _message(error: Exception) -> str:
    if isinstance(error, CancelledError):
        return "its executor was shut down or cancelled it, before it began"
    return str(error) if isinstance(error, VecbridgeError) else error_message(error)
