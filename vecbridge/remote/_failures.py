"""One table says of each failure of a client which error it is, and whether it passes by itself.

What passes is tried again, by :func:`retrying`.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from vecbridge._errors import BackendError, OperationTimeoutError, VecbridgeError
from vecbridge._redaction import redacted_message

Match: TypeAlias = str | type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which exceptions a cause is about.

Those whose code begins with what a regular expression matches; those of a class, or of several; or
those that a test accepts.
"""

T = TypeVar("T")

_LONGEST = 500
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 2.0
_UNSPOKEN_S = 0.5
"""Pauses up to this one are not logged."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What an exception of a client means.

    Attributes:
        match: which exceptions it is about.
        kind: the error of the contract that it becomes.
        retryable: the same call may succeed later without any change.
        advice: what to do about it, as a sentence or two; empty where the store has said it all.
    """

    match: Match
    kind: type[VecbridgeError] = BackendError
    retryable: bool = False
    advice: str = ""

    def accepts(self, error: Exception, code: str) -> bool:
        """Return whether it is about an exception, and about its code."""
        if isinstance(self.match, str):
            return bool(code) and re.match(self.match, code) is not None
        if isinstance(self.match, (type, tuple)):
            return isinstance(error, self.match)
        return self.match(error)


class ErrorTable:
    """The causes of a store's failures, the first that accepts an exception first.

    What the clients' packages raise and no cause accepts is a :class:`vecbridge.BackendError` that
    does not pass. What anything else raises is a defect, and none of the table's business.

    Args:
        backend: name of the backend, for the errors.
        store: name of the store in messages.
        causes: the rows of the table.
        packages: the top-level packages whose exceptions are the store's.
        code: attribute, or method, of exceptions that has the store's own code, such as an SQLSTATE
            or a status; empty where they have none.

    Example:
        >>> from vecbridge import OperationTimeoutError
        >>> table = ErrorTable(
        ...     "shelf",
        ...     "Shelf",
        ...     [Cause(match=TimeoutError, kind=OperationTimeoutError, retryable=True)],
        ...     packages=["shelf_client"],
        ... )
        >>> error = table.translate(TimeoutError("no answer"), "upsert")
        >>> print(error)
        Shelf could not upsert: no answer
        >>> error.retryable, table.translate(KeyError("a defect"), "upsert")
        (True, None)
    """

    def __init__(
        self,
        backend: str,
        store: str,
        causes: Sequence[Cause],
        *,
        packages: Iterable[str],
        code: str = "",
    ) -> None:
        self.backend = backend
        self.store = store
        self._causes = tuple(causes)
        self._packages = frozenset(packages)
        self._code = code

    def translate(
        self, error: Exception, operation: str, *, place: str = "", secrets: Iterable[object] = ()
    ) -> VecbridgeError | None:
        """Return the error of the contract for an exception; ``None`` for a defect.

        Args:
            error: what a client raised.
            operation: the contract's name of what was being done.
            place: where the store is, without any credentials.
            secrets: what no message may show.
        """
        found = getattr(error, self._code, None) if self._code else None
        code = str((found() if callable(found) else found) or "")
        cause = next((each for each in self._causes if each.accepts(error, code)), None)
        if cause is None:
            if type(error).__module__.partition(".")[0] not in self._packages:
                return None
            cause = Cause(match=Exception)
        said = redacted_message(" ".join(str(error).split()), secrets) or type(error).__name__
        said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
        at = f" at {place}" if place else ""
        advice = f". {cause.advice}" if cause.advice else ""
        text = f"{self.store}{at} could not {operation}: {said.rstrip('.')}{advice}"
        if issubclass(cause.kind, BackendError):
            return cause.kind(
                text, backend=self.backend, operation=operation, retryable=cause.retryable
            )
        return cause.kind(text)


def without_attributes(error: Exception, secrets: Iterable[object] = ()) -> Exception:
    """Return an exception of the same type that holds nothing but its text, and no secret.

    Clients keep what they were called with in their exceptions, and in the frames of their
    tracebacks: connections, addresses, passwords. A debugger or a reporter of errors shows both.
    """
    text = redacted_message(str(error), secrets)
    try:
        return type(error)(text)
    except Exception:  # noqa: BLE001 - whatever arguments the class asks for
        return RuntimeError(f"{type(error).__name__}: {text}")


def retrying(
    step: Callable[[int], T],
    *,
    operation: str,
    seconds: float,
    log: logging.Logger,
    passes: Callable[[BackendError], bool] | None = None,
    on_retry: Callable[[BackendError], None] | None = None,
) -> T:
    """Do what may safely be done twice, again as long as its failures pass by themselves.

    The time starts with the first failure, so that a long call has all of it left. Pauses double,
    each shortened at random, so that clients that wait do not all come back at once.

    Args:
        step: makes the calls, given the number of the attempt, from 0.
        operation: the contract's name of what is being done.
        seconds: how long to go on; 0 to try once.
        log: gets a line when it takes long.
        passes: tells whether to try again; by default where the error says ``retryable``, and is
            no timeout: the caller has said how long a call may take.
        on_retry: does, after a pause, what the next attempt needs.

    Raises:
        BackendError: what it failed with, or went on failing with.
    """
    started, warned, attempt = 0.0, False, 0
    while True:
        try:
            answer = step(attempt)
        except BackendError as error:  # noqa: PERF203 - once per attempt
            if not seconds or not (passes or passes_by_itself)(error):
                raise
            now = time.monotonic()
            started = started if attempt else now
            left = started + seconds - now
            if left <= 0:
                text = f"{error} (tried again for {seconds:g} s, the setting retry_timeout)"
                raise type(error)(
                    text, backend=error.backend, operation=error.operation, retryable=True
                ) from error
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)
            if pause > _UNSPOKEN_S and not warned:
                warned = True
                log.warning("%s - trying again, for up to %.0f s", error, left)
            time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
            if on_retry is not None:
                on_retry(error)
            attempt += 1
        else:
            if warned:
                waited = time.monotonic() - started
                log.warning("the store is back: %s went on after %.1f s", operation, waited)
            return answer


def passes_by_itself(error: BackendError) -> bool:
    """Return whether a call that failed is worth another attempt.

    Not where it took too long: three times as long is not what the caller asked for.
    """
    return error.retryable and not isinstance(error, OperationTimeoutError)
