"""A Ray cluster as an executor. Importing this needs nothing; using it needs ``ray``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from vecbridge._contract._needed import needing

R = TypeVar("R")

_RETRIES = 3
"""So often the cluster does a partition again whose worker or node died."""


class RayExecutor(Executor):
    """Run tasks on a Ray cluster. Ray repeats a task if its worker or node dies.

    Args:
        address: address of the cluster, as in ``10.0.0.1:6379``, or ``auto`` for the cluster that
            this machine belongs to; ``None`` uses the cluster that this process is connected to, or
            starts one.

    Raises:
        MissingDependencyError: ``ray`` is not installed.
        ConnectionError: no cluster answers at the address.
    """

    def __init__(self, address: str | None = None) -> None:
        with needing("Ray clusters", "ray"):
            import ray
        self._ray = ray
        self._connected_here = not ray.is_initialized()
        if self._connected_here:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        self._call: Any = ray.remote(max_retries=_RETRIES)(_called)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function in a worker of the cluster."""
        answer: Future[R] = Future()
        task = self._call.remote(fn, args, kwargs)

        def settle(done: Future[R]) -> None:
            if not answer.set_running_or_notify_cancel():
                return
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            else:
                # What the function raised, as it raised it.
                answer.set_exception(getattr(error, "cause", None) or error)

        def cancel(told: Future[R]) -> None:
            if told.cancelled():
                self._ray.cancel(task)

        answer.add_done_callback(cancel)
        task.future().add_done_callback(settle)
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base has it
        """Disconnect from the cluster if this object connected to it. Can be called again."""
        if self._connected_here:
            self._ray.shutdown()
            self._connected_here = False


def _called(fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    return fn(*args, **kwargs)
