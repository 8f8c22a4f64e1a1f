"""The threads of an asynchronous store: how a call is awaited, and what a cancelled await leaves.

A thread cannot be stopped. So a call that has not begun when its await is cancelled is never made,
and one that has begun is made to its end. Of a read, no call waits for that end. Of a write, the
await does: it uses the caller's arrays, which the caller may change afterwards, and a later write
must not be overtaken by it.
"""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # At run time where they are used: ``import vecbridge`` stays cheap.
    from concurrent.futures import Future, ThreadPoolExecutor

R = TypeVar("R")


class Threads:
    """What the calls of one store are made in: threads that read, and one that writes.

    A local store lets one write in at a time: with more threads, they would only wait for each
    other, and keep reads waiting. And writes are made in the order in which they are asked for.

    Args:
        readers: how many reads are made at a time.
    """

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self._reading = _Lane(readers)
        self._writing = _Lane(1)
        self._closing = False
        self._closed = False

    async def read(self, call: Callable[[], R], lost: Callable[[R], object] | None = None) -> R:
        """Return what a call returns.

        Args:
            call: what reads.
            lost: called with the answer that a cancelled await does not take.
        """
        import asyncio

        if self._closed:
            # Which is refused, unless it is of an index of another store.
            return await asyncio.to_thread(call)
        future = self._lane.submit(call)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if lost is not None:
                future.add_done_callback(functools.partial(_hand_over, lost))
            raise

    async def write(
        self,
        call: Callable[[], R],
        lost: Callable[[R], object] | None = None,
        *,
        certain: bool = False,
    ) -> R:
        """Return what a call returns, or end with it where the await is cancelled.

        Args:
            call: what writes.
            lost: called with the answer that a cancelled await does not take.
            certain: the call is made even where the await is cancelled before it has begun.
        """
        import asyncio

        if self._closed:
            return await asyncio.to_thread(call)
        future = self._writing.submit(call)
        answer = asyncio.wrap_future(future)
        cancelled: BaseException | None = None
        try:
            while not answer.done():
                if (error := await _cancellation_of(asyncio.wait([answer]))) is not None:
                    cancelled = error
                    if not certain:
                        future.cancel()
            if cancelled is None:
                return answer.result()
            if not answer.cancelled() and answer.exception() is None and lost is not None:
                lost(answer.result())
            raise cancelled
        finally:
            # Or the error and this frame would keep each other, and the caller's arrays.
            cancelled = error = None

    def finish(self, answers: Steps[Any]) -> None:
        """Close an iterator after the step that it may be in the middle of; nothing is awaited."""
        if self._closed:
            answers.close()
        else:
            self._lane.submit(answers.close)

    async def close(self, close: Callable[[], None]) -> None:
        """Wait for the calls under way, and then close. May be called twice."""

        def last() -> None:
            self._reading.end()
            close()

        self._closing = True
        await self.write(last, certain=True)
        self._closed = True
        # Its thread has nothing left to do, or calls that are refused.
        self._writing.end()

    @property
    def _lane(self) -> _Lane:
        # A read that is asked for while the store is closing comes after that, to be refused.
        return self._writing if self._closing else self._reading


class Steps(Iterator[R]):
    """An iterator whose steps are taken in any threads, one at a time."""

    def __init__(self, answers: Iterator[R]) -> None:
        self._answers = answers
        self._lock = threading.Lock()

    def __next__(self) -> R:
        with self._lock:
            return next(self._answers)

    def close(self) -> None:
        """Let go of what the iterator holds."""
        with self._lock:
            getattr(self._answers, "close", _forget)()


class _Lane:
    """Threads that are started as they are needed, and again in a forked child, which has none."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._made: tuple[int, ThreadPoolExecutor] | None = None

    def submit(self, call: Callable[[], R]) -> Future[R]:
        from concurrent.futures import ThreadPoolExecutor

        if self._made is None or self._made[0] != os.getpid():
            pool = ThreadPoolExecutor(self._threads, thread_name_prefix="vecbridge-awaited")
            self._made = os.getpid(), pool
        # As ``asyncio.to_thread`` does: a span of the caller's is the parent of those in the call.
        return self._made[1].submit(contextvars.copy_context().run, call)

    def end(self) -> None:
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].shutdown()


async def _cancellation_of(waiting: Coroutine[Any, Any, object]) -> BaseException | None:
    import asyncio

    try:
        await waiting
    except asyncio.CancelledError as error:
        return error
    return None


def _hand_over(lost: Callable[[R], object], future: Future[R]) -> None:
    if not future.cancelled() and future.exception() is None:
        lost(future.result())


def _forget(*_: object) -> None:
    pass
