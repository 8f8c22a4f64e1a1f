"""The boundary to pymilvus: its errors become vecbridge's, stay off the terminal, and are retried.

:mod:`vecbridge_milvus._causes` says of each failure which error it is and whether it passes by
itself; one function, :func:`with_retries`, tries again what does.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, TypeVar

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    OperationTimeoutError,
    VecbridgeError,
)
from vecbridge.remote import TooLargeError, passes_by_itself, retrying
from vecbridge.settings import redacted_message
from vecbridge_milvus._causes import Cause, StillLoadingError, admitted, cause_of

T = TypeVar("T")
Failure = TypeVar("Failure", bound=BackendError)
BACKEND = "milvus"
_COLLECTION_NOT_FOUND = 100
_DATABASE_NOT_FOUND = 800
_UNREACHABLE = 2
_CLOSED_CHANNEL = "closed channel"
_THEIRS = frozenset({"pymilvus", "grpc", "google", "milvus_lite"})
"""Packages whose failures are the store's; a failure in a line of ours is a defect."""

_LONGEST = 500
_LOGGERS = ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "milvus_lite.server_manager")


_log = logging.getLogger("vecbridge.milvus")


class _Quiet(threading.local, logging.Filter):
    """Drops log records of a thread that is inside :func:`quietly`, and remembers their causes.

    pymilvus logs a traceback for each error that it raises, of which ours says all there is to say.
    """

    def __init__(self) -> None:
        logging.Filter.__init__(self)
        self.depth = 0
        self.causes: list[BaseException] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if self.depth and record.exc_info and record.exc_info[1] is not None:
            self.causes.append(record.exc_info[1])
        return not self.depth


_QUIET = _Quiet()


@contextmanager
def quietly() -> Iterator[list[BaseException]]:
    """Keep what pymilvus and Milvus Lite log in this thread off the terminal.

    Yields:
        The exceptions that they log meanwhile; some causes stand nowhere else.
    """
    _QUIET.depth += 1
    try:
        yield _QUIET.causes
    finally:
        _QUIET.depth -= 1
        if not _QUIET.depth:
            _QUIET.causes = []


def quieten() -> None:
    """Let :func:`quietly` work on what pymilvus and Milvus Lite log; they are imported by then."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        # A logger's own filters see what is logged to it, a handler's also its children's.
        for target in (logger, *logger.handlers):
            target.addFilter(_QUIET)


@contextmanager
def boundary(operation: str) -> Iterator[None]:
    """Turn whatever pymilvus, gRPC or the system raise inside into an error of the contract.

    What a line of vecbridge's own raises is a defect, and passes as it is.
    """
    with quietly():
        try:
            yield
        except VecbridgeError:
            raise
        except Exception as error:
            translated = translate(error, operation)
            if translated is None:
                raise
            raise translated from error


def with_retries(
    step: Callable[[int], T],
    *,
    operation: str,
    seconds: float,
    on_retry: Callable[[BackendError], None] | None = None,
) -> T:
    """Do what may safely be done twice, as :func:`vecbridge.remote.retrying` does.

    A load is waited for as well: the server answers all the time, and no call is as long as one.
    """
    return retrying(
        step,
        operation=operation,
        seconds=seconds,
        log=_log,
        passes=lambda error: isinstance(error, StillLoadingError) or passes_by_itself(error),
        on_retry=on_retry,
    )


def failure(kind: type[Failure], operation: str, text: str, *, passes: bool = False) -> Failure:
    """Return an error of this backend."""
    return kind(text, backend=BACKEND, operation=operation, retryable=passes)


def translate(error: Exception, operation: str) -> VecbridgeError | None:
    """Return the contract's error for what pymilvus raised; ``None`` for a defect of our own."""
    import grpc
    from pymilvus.exceptions import MilvusException

    if isinstance(error, grpc.RpcError):
        return _from_grpc(error, operation)
    if isinstance(error, MilvusException):
        lost = _behind(error)
        return _from_milvus(error, operation) if lost is None else _from_grpc(lost, operation)
    if _CLOSED_CHANNEL in str(error).lower():
        return _unreachable(operation, "the connection was closed")
    if isinstance(error, OSError) or _is_theirs(error):
        text = f"Milvus could not {operation}: {type(error).__name__}: {_shortened(error)}"
        return failure(BackendError, operation, text, passes=isinstance(error, ConnectionError))
    return None


def _behind(error: BaseException) -> Any:
    """Return the loss of the connection that pymilvus gave up on, where it did."""
    import grpc

    seen: set[int] = set()
    cause: BaseException | None = error
    # pymilvus raises some errors from themselves.
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, grpc.RpcError):
            return cause if cause.code() == grpc.StatusCode.UNAVAILABLE else None
        seen.add(id(cause))
        cause = cause.__cause__
    return None


def _is_theirs(error: Exception) -> bool:
    """Return whether the line that raised is pymilvus's, or of what it stands on."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not _THEIRS.isdisjoint(PurePath(frames[-1].filename).parts)


def _from_grpc(error: Any, operation: str) -> BackendError:
    status = error.code().name if callable(getattr(error, "code", None)) else "UNKNOWN"
    said = _shortened(error.details() if callable(getattr(error, "details", None)) else error)
    if status in {"UNAVAILABLE", "CANCELLED"}:
        return _unreachable(operation, said)
    if status == "DEADLINE_EXCEEDED":
        text = (
            f"Milvus did not answer in time to {operation}. It may be overloaded or frozen; try "
            f"again, or raise the setting timeout."
        )
        return failure(OperationTimeoutError, operation, text, passes=True)
    cause = cause_of(None, said)
    if status in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        cause = cause._replace(kind=AuthenticationError)
    elif status == "RESOURCE_EXHAUSTED" and not cause.words:
        cause = cause._replace(kind=TooLargeError)
    text = f"Milvus refused to {operation} ({status}): {said}"
    return _known(cause, operation, text, said)


def _from_milvus(error: Any, operation: str) -> VecbridgeError:
    # After retries, pymilvus 2.5 has a status or a bound method for a code.
    code = error.code() if callable(error.code) else error.code
    said = _shortened(error.message or error)
    lowered = said.lower()
    if code == _COLLECTION_NOT_FOUND:
        return IndexNotFoundError(
            f"Milvus has no collection for this index any more, so it cannot {operation}: {said}"
        )
    if code == _DATABASE_NOT_FOUND or "database not found" in lowered:
        return ConfigurationError(
            f"db_name: Milvus has no such database ({said}). Correct the setting, or create the "
            f"database on the server"
        )
    cause = cause_of(code, said)
    lost = getattr(code, "name", "") == "UNAVAILABLE"
    if lost or (code == _UNREACHABLE and not cause.words) or "server unavailable" in lowered:
        return _unreachable(operation, "no server answers")
    if "create connection first" in lowered:
        return _unreachable(operation, "the connection was closed")
    text = f"Milvus could not {operation} (code {code}): {said}"
    # What a server does not say of trying again, it does not deny either.
    return _known(cause, operation, text, said, retriable=getattr(error, "retriable", False))


def _known(
    cause: Cause, operation: str, text: str, said: str, *, retriable: bool = False
) -> BackendError:
    """Return the error of a cause; the server's own word counts where the table has none."""
    passes = retriable if cause.passes is None else cause.passes
    if cause.advice:
        text = f"{text.rstrip('.')}. {cause.advice}"
    error = failure(cause.kind, operation, text, passes=passes)
    if isinstance(error, TooLargeError):
        error.most = admitted(said)
    return error


def _unreachable(operation: str, said: str) -> ConnectionFailedError:
    text = f"Milvus cannot be reached to {operation}: {said}. Is the server running?"
    return failure(ConnectionFailedError, operation, text, passes=True)


def _shortened(said: object) -> str:
    text = redacted_message(" ".join(str(said).split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
