"""Trying again: what passes by itself costs the caller a pause, not an error."""

from __future__ import annotations

import logging
import random
import time

from vecbridge import BackendError, OperationTimeoutError
from vecbridge_milvus._errors import StillLoadingError

_log = logging.getLogger("vecbridge.milvus")

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 2.0
_UNSPOKEN_S = 0.5


class Patience:
    """How long one call goes on trying.

    The time starts with the first failure, so that a long call has all of it left. Pauses double,
    each shortened at random, lest all who wait come back at once.

    Args:
        seconds: to go on for; 0 to try once.
        operation: the contract's name of what is being done.
    """

    def __init__(self, seconds: float, operation: str) -> None:
        self._seconds = seconds
        self._operation = operation
        self._tries = 0
        self._started = 0.0
        self._told = False

    def pause(self, error: BackendError) -> None:
        """Waits before another try.

        Raises:
            BackendError: the error, where another try is useless or the time is over.
        """
        if not _passes(error) or not self._seconds:
            raise error
        now = time.monotonic()
        if not self._tries:
            self._started = now
        left = self._started + self._seconds - now
        if left <= 0:
            raise self._given_up(error) from error
        full = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**self._tries)
        if full > _UNSPOKEN_S and not self._told:
            self._told = True
            _log.warning("%s - trying again, for up to %.0f s", error, left)
        self._tries += 1
        time.sleep(min(left, full * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret

    def rewarded(self) -> None:
        """Says that a try succeeded."""
        if self._told:
            waited = time.monotonic() - self._started
            _log.warning("Milvus is back: %s went on after %.1f s", self._operation, waited)

    def _given_up(self, error: BackendError) -> BackendError:
        return type(error)(
            f"{error} (tried again for {self._seconds:g} s, the setting retry_timeout)",
            backend=error.backend,
            operation=error.operation,
            retryable=True,
        )


def _passes(error: BackendError) -> bool:
    if isinstance(error, StillLoadingError):
        # The server answers all the time, and no call is as long as a load.
        return True
    # The caller has said how long a call may take; three times as long is not what was asked.
    return error.retryable and not isinstance(error, OperationTimeoutError)
