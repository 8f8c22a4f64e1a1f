"""The one boundary where pymilvus's and gRPC's errors become vecbridge's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
    VecbridgeError,
)
from vecbridge_milvus._pymilvus import quietly

BACKEND = "milvus"
_COLLECTION_NOT_FOUND = 100
_NOT_LOADED = 101
_UNREACHABLE = 2
_RATE_LIMITED = (8, 9)
_PASSING = ("timestamp lag too large", "no available shard", "not ready", "try again")
_DAMAGED = (
    "not valid json",
    "magic bytes",
    "not fully written",
    "pickled",
    "corrupt",
    "invalid: parquet",
)
"""What Milvus Lite's readers of files say of one that is not as it was written."""

_LONGEST = 500


class TooLargeError(BackendError):
    """A message was larger than the server takes: send less at a time."""


class NotLoadedError(BackendError):
    """The collection is not in the server's memory: load it."""


class OvertakenError(BackendError):
    """A delete came between a search and the reading of what it had found: search again."""


@contextmanager
def boundary(operation: str) -> Iterator[None]:
    """Turns whatever pymilvus raises inside into an error of the contract.

    Args:
        operation: the contract's name of what is being done.
    """
    with quietly():
        try:
            yield
        except VecbridgeError:
            raise
        except Exception as error:
            translated = _translate(error, operation)
            if translated is None:
                raise
            raise translated from error


def _translate(error: Exception, operation: str) -> VecbridgeError | None:
    import grpc
    from pymilvus.exceptions import MilvusException

    if isinstance(error, grpc.RpcError):
        return _from_grpc(error, operation)
    if isinstance(error, MilvusException):
        return _from_milvus(error, operation)
    return None


def _from_grpc(error: Any, operation: str) -> BackendError:
    status = error.code().name if callable(getattr(error, "code", None)) else "UNKNOWN"
    said = _shortened(error.details() if callable(getattr(error, "details", None)) else error)
    if status == "DEADLINE_EXCEEDED":
        return OperationTimeoutError(
            f"Milvus did not answer in time to {operation}. It may be overloaded or frozen; try "
            f"again, or raise the setting timeout.",
            backend=BACKEND,
            operation=operation,
            retryable=True,
        )
    kinds: dict[str, type[BackendError]] = {
        "UNAVAILABLE": ConnectionFailedError,
        "UNAUTHENTICATED": AuthenticationError,
        "PERMISSION_DENIED": AuthenticationError,
        "RESOURCE_EXHAUSTED": TooLargeError,
    }
    return kinds.get(status, BackendError)(
        f"Milvus refused to {operation} ({status}): {said}",
        backend=BACKEND,
        operation=operation,
        retryable=status == "UNAVAILABLE",
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
    kind: type[BackendError] = BackendError
    retryable = code in _RATE_LIMITED or any(words in lowered for words in _PASSING)
    if code == _NOT_LOADED or "not loaded" in lowered:
        kind, retryable = NotLoadedError, True
    elif "incomplete query result" in lowered:
        kind, retryable = OvertakenError, True
    elif code == _UNREACHABLE or "server unavailable" in lowered:
        kind, retryable = ConnectionFailedError, True
    elif "deadline exceeded" in lowered or "retry timeout" in lowered:
        kind, retryable = OperationTimeoutError, True
    elif any(words in lowered for words in _DAMAGED):
        kind, retryable = CorruptStoreError, False
    return kind(
        f"Milvus could not {operation} (code {code}): {said}",
        backend=BACKEND,
        operation=operation,
        retryable=retryable,
    )


def _shortened(said: object) -> str:
    text = " ".join(str(said).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
