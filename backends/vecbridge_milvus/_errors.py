"""The one boundary where pymilvus's and gRPC's errors become vecbridge's."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
    VecbridgeError,
)
from vecbridge.settings import redacted_message
from vecbridge_milvus._pymilvus import quietly

BACKEND = "milvus"
_COLLECTION_NOT_FOUND = 100
_DATABASE_NOT_FOUND = 800
_NOT_LOADED = 101
_UNREACHABLE = 2
_OVER_QUOTA = 9
_PASSING_CODES = frozenset({4, 8, 12, 103, 106, 305, 503, 505, 507})
"""A full queue, a rate limit, want of resources, a collection that is not loaded in full or is
recovering, no leader of a shard yet, a channel that stalls or goes elsewhere: the server says of
each that the same call may succeed later. Not of a quota (9), which stays exceeded."""

_PASSING = (
    "timestamp lag too large",
    "no available",
    "not available",
    "not ready",
    "not healthy",
    "notready",
    "try again",
    "retry later",
    "node offline",
    "node not found",
    "channel unavailable",
    "shard delegator",
    "query delegator",
)
_UNTOLD = "unrecoverable error"
"""All that is said of a load which counts on a query node that is gone; why, only the log tells."""

_TOO_MUCH = ("exceed the limit size", "maxoutputsize", "larger than max")
"""What is said of an answer, or a message, that is longer than a server or gRPC sends; a server
tells of some in the words of a failure that passes."""

_LIMITED = ("rate", "quota", "too many requests")
_LATE = ("deadline exceeded", "retry timeout", "index timeout")
_CLOSED_CHANNEL = "closed channel"
_THEIRS = frozenset({"pymilvus", "grpc", "google", "milvus_lite"})
"""Packages whose failures are the store's; a failure in a line of ours is a defect."""

_DAMAGED = (
    "not valid json",
    "magic bytes",
    "not fully written",
    "pickled",
    "corrupt",
    "invalid: parquet",
)
"""What Milvus Lite's readers of files say of one that is not as it was written."""

_OTHER_PROTOCOL = re.compile(r"^protocol message \w+ has no ")
"""What Milvus Lite says where it answers in words that an older pymilvus does not know."""

_LONGEST = 500


class TooLargeError(BackendError):
    """A message was larger than the server takes or gives: send, or ask for, less at a time."""


class NotLoadedError(BackendError):
    """The collection is not in the server's memory: load it."""


class StillLoadingError(OperationTimeoutError):
    """The server goes on bringing the collection into its memory: wait."""


class OvertakenError(BackendError):
    """A delete came between a search and the reading of what it had found: search again."""


@contextmanager
def boundary(operation: str) -> Iterator[None]:
    """Turns whatever pymilvus, gRPC or the system raise inside into an error of the contract.

    What a line of vecbridge's own raises is a defect, and passes as it is.

    Args:
        operation: the contract's name of what is being done.
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


def translate(error: Exception, operation: str) -> VecbridgeError | None:
    """The error of the contract for what pymilvus raised; ``None`` for a defect of our own."""
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
        return BackendError(
            f"Milvus could not {operation}: {type(error).__name__}: {_shortened(error)}",
            backend=BACKEND,
            operation=operation,
            retryable=isinstance(error, ConnectionError),
        )
    return None


def _behind(error: BaseException) -> Any:
    """The loss of the connection that pymilvus gave up on, where it did."""
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
    """Whether the line that raised is pymilvus's, or of what it stands on."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not _THEIRS.isdisjoint(PurePath(frames[-1].filename).parts)


def _from_grpc(error: Any, operation: str) -> BackendError:
    status = error.code().name if callable(getattr(error, "code", None)) else "UNKNOWN"
    said = _shortened(error.details() if callable(getattr(error, "details", None)) else error)
    if status in {"UNAVAILABLE", "CANCELLED"}:
        return _unreachable(operation, said)
    if status == "DEADLINE_EXCEEDED":
        return OperationTimeoutError(
            f"Milvus did not answer in time to {operation}. It may be overloaded or frozen; try "
            f"again, or raise the setting timeout.",
            backend=BACKEND,
            operation=operation,
            retryable=True,
        )
    limited = any(words in said.lower() for words in _LIMITED)
    kind: type[BackendError] = BackendError
    if status == "RESOURCE_EXHAUSTED" and not limited:
        kind = TooLargeError
    elif status in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        kind = AuthenticationError
    return kind(
        f"Milvus refused to {operation} ({status}): {said}",
        backend=BACKEND,
        operation=operation,
        retryable=limited and status in {"RESOURCE_EXHAUSTED", "UNKNOWN"},
    )


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
    lost = getattr(code, "name", "") == "UNAVAILABLE"
    answered = any(words in lowered for words in _PASSING)
    if lost or (code == _UNREACHABLE and not answered) or "server unavailable" in lowered:
        return _unreachable(operation, "nobody answers")
    if "create connection first" in lowered:
        return _unreachable(operation, "the connection was closed")
    kind, retryable = _kind(code, lowered, said_so=bool(getattr(error, "retriable", False)))
    advice = ""
    if _OTHER_PROTOCOL.search(lowered):
        advice = " Milvus Lite is newer than the pymilvus that is installed: upgrade pymilvus."
    return kind(
        f"Milvus could not {operation} (code {code}): {said}{advice}",
        backend=BACKEND,
        operation=operation,
        retryable=retryable,
    )


def _kind(code: Any, lowered: str, *, said_so: bool) -> tuple[type[BackendError], bool]:
    """What a failure is that was none of reaching the server, and whether it passes by itself.

    Args:
        code: Milvus's.
        lowered: what the server said.
        said_so: whether it said as well that the same call may succeed later.
    """
    if any(words in lowered for words in _TOO_MUCH):
        return TooLargeError, False
    if code == _NOT_LOADED or "not loaded" in lowered:
        return NotLoadedError, True
    if "incomplete query result" in lowered:
        return OvertakenError, True
    if "loading collection timeout" in lowered:
        return StillLoadingError, True
    if any(words in lowered for words in _LATE):
        return OperationTimeoutError, True
    if any(words in lowered for words in _DAMAGED):
        return CorruptStoreError, False
    passing = lowered == _UNTOLD or any(words in lowered for words in _PASSING)
    return BackendError, code != _OVER_QUOTA and (said_so or code in _PASSING_CODES or passing)


def _unreachable(operation: str, said: str) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"Milvus cannot be reached to {operation}: {said}. Is the server running?",
        backend=BACKEND,
        operation=operation,
        retryable=True,
    )


def _shortened(said: object) -> str:
    text = redacted_message(" ".join(str(said).split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
