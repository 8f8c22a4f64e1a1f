"""Doing again what failed, as long as its failures pass by themselves."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from vecbridge._errors import BackendError, OperationTimeoutError

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 2.0
_UNSPOKEN_S = 0.5
"""Pauses up to this one are not logged."""


def retrying(
    step: Callable[[], T],
    *,
    seconds: float,
    log: logging.Logger,
    passes: Callable[[BackendError], bool] | None = None,
) -> T:
    """Do what may safely be done twice, again as long as its failures pass by themselves.

    The time starts with the first failure, so that a long call has all of it left. Pauses double,
    each shortened at random, lest all clients that wait come back at once.

    Args:
        step: makes the calls.
        seconds: how long to go on; 0 to try once.
        log: told when it takes long.
        passes: tells whether to try again; by default where the error says ``retryable``, and is
            no timeout: the caller has said how long a call may take.

    Raises:
        BackendError: what it failed with, or went on failing with.
    """
    started, warned, attempt = 0.0, False, 0
    while True:
        try:
            answer = step()
        except BackendError as error:  # noqa: PERF203 - once per attempt
            if not seconds or not (passes or _passes)(error):
                raise
            now = time.monotonic()
            started = started if attempt else now
            left = started + seconds - now
            if left <= 0:
                raise
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)
            if pause > _UNSPOKEN_S and not warned:
                warned = True
                log.warning("%s - trying again, for up to %.0f s", error, left)
            time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
            attempt += 1
        else:
            if warned:
                log.warning("the store is back after %.1f s", time.monotonic() - started)
            return answer


def _passes(error: BackendError) -> bool:
    return error.retryable and not isinstance(error, OperationTimeoutError)
