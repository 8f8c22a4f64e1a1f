"""Processes of this machine as an executor that outlives the death of any of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from vecbridge._client import _validate as validate

R = TypeVar("R")

_MOST_FRUITLESS = 3
"""So often in a row is a pool made again of which nothing came."""


class WorkerPool(Executor):
    """Worker processes on this machine. If one is killed, others repeat its work.

    Workers are started as new processes, not forked: forking a process with threads and open stores
    is not safe. They end with this process, even if it is killed. A program that creates a pool
    must be importable: its own work belongs under ``if __name__ == "__main__":``.

    Args:
        workers: number of processes.

    Raises:
        InvalidArgumentError: ``workers`` is below 1.

    Example:
        >>> from vecbridge.bulk import WorkerPool
        >>> with WorkerPool(1) as pool:
        ...     pool.submit(len, "four").result()
        4
    """

    def __init__(self, workers: int) -> None:
        self._workers = validate.positive(workers, "workers")
        self._lock = threading.Lock()
        self._fruitless = 0
        self._closed = False
        self._pool = self._fresh()

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function in one of the processes; call it again if that process dies.

        Raises:
            RuntimeError: the pool was shut down.
        """
        answer: Future[R] = Future()
        self._send(answer, lambda pool: pool.submit(fn, *args, **kwargs))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base has it
        """End the processes. Can be called more than once."""
        with self._lock:
            self._closed = True
            pool = self._pool
        pool.shutdown(wait, cancel_futures=cancel_futures)

    def _send(self, answer: Future[R], submit: Callable[[ProcessPoolExecutor], Future[R]]) -> None:
        while True:
            with self._lock:
                pool = self._pool
            try:
                inner = submit(pool)
            except BrokenProcessPool as error:
                if not self._replaced(pool):
                    answer.set_exception(error)
                    return
            else:
                break
        answer.add_done_callback(lambda told: told.cancelled() and inner.cancel())
        inner.add_done_callback(lambda done: self._settle(answer, done, pool, submit))

    def _settle(
        self,
        answer: Future[R],
        done: Future[R],
        pool: ProcessPoolExecutor,
        submit: Callable[[ProcessPoolExecutor], Future[R]],
    ) -> None:
        if done.cancelled():
            answer.cancel()
            return
        error = done.exception()
        if isinstance(error, BrokenProcessPool) and not answer.cancelled() and self._replaced(pool):
            try:
                self._send(answer, submit)
            except RuntimeError as shut:
                # A callback has no caller to raise it to, and the caller of the work waits.
                answer.set_exception(shut)
        elif not answer.set_running_or_notify_cancel():
            return
        elif error is not None:
            answer.set_exception(error)
        else:
            self._fruitless = 0
            answer.set_result(done.result())

    def _replaced(self, broken: ProcessPoolExecutor) -> bool:
        """Put another pool in the place of a broken one; tell whether there is one."""
        with self._lock:
            if self._pool is not broken:
                return True
            if self._closed or self._fruitless >= _MOST_FRUITLESS:
                return False
            self._fruitless += 1
            self._pool = self._fresh()
            return True

    def _fresh(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers, multiprocessing.get_context("spawn"), initializer=_begin_worker
        )


def _begin_worker() -> None:
    """End this process when its parent has ended: it would wait for work for ever."""
    # Ctrl-C is for the parent, which then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - for the type checker: a worker has one
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="vecbridge-parent", daemon=True).start()
