"""Every error that vecbridge raises, in one tree.

.. code-block:: text

    VecbridgeError
    ├── InvalidInputError (ValueError)
    │   ├── InvalidVectorError        NaN, infinity, float32 overflow, not numeric
    │   ├── DimensionError            a vector of another length than the index's
    │   ├── InvalidIdError            not a str, empty, NUL, over 512 bytes
    │   ├── DuplicateIdError          two equal ids in one call
    │   ├── InvalidArgumentError      k < 1, an unknown metric, a bad index name ...
    │   └── FilterSyntaxError         .text .position
    ├── IndexNotFoundError (LookupError)
    ├── IndexExistsError (ValueError)
    ├── SchemaMismatchError (ValueError)   reopened with another dimension or metric
    ├── UnsupportedError (NotImplementedError)
    ├── ConfigurationError (ValueError)
    │   ├── UnknownSettingError       names the nearest known setting
    │   ├── UnknownBackendError (LookupError)
    │   └── AmbiguousBackendError     two packages provide one name
    ├── MissingDependencyError (ImportError)
    └── BackendError                  .backend .operation .retryable
        ├── ConnectionFailedError (ConnectionError)
        ├── AuthenticationError (PermissionError)
        ├── OperationTimeoutError (TimeoutError)
        ├── CorruptStoreError
        ├── ClosedError
        ├── PartialWriteError         .written .unknown
        └── PartitionsFailedError     .failed

Usage errors also derive from the builtin that a Python programmer expects, so
``except ValueError`` keeps working in code that has never heard of vecbridge.
"""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, cast

_CAUSE = "__cause__"


class VecbridgeError(Exception):
    """Base of every error that vecbridge raises on purpose.

    Errors pickle and copy with their attributes, so that an error raised in a worker process keeps
    its type. Its cause is kept if that can be pickled too.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # As exceptions do by themselves, but for the call of the class with the message alone.
        kind, args, *state = cast(tuple[Any, ...], super().__reduce__())
        attributes = {**state[0]} if state and state[0] else {}
        # A reducer that another library registered for all exceptions, as tblib does for Dask, asks
        # here for what is the error's own and sees to causes by itself.
        if self.__cause__ is not None and type(self) not in copyreg.dispatch_table:
            attributes[_CAUSE] = _pickled(self.__cause__)
        return _unpickled, (kind, args, attributes)


def _unpickled(
    kind: type[VecbridgeError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> VecbridgeError:
    error = kind.__new__(kind)
    error.args = args
    cause = attributes.pop(_CAUSE, None)
    error.__setstate__(attributes)
    if cause is not None:
        error.__cause__ = pickle.loads(cause)  # noqa: S301 - a part of what is being unpickled
    return error


def _pickled(cause: BaseException) -> bytes | None:
    """Return an exception as bytes; ``None`` where it would not come back."""
    try:
        text = pickle.dumps(cause)
        # Some exceptions go in well enough and cannot come out: clients' with required arguments.
        pickle.loads(text)  # noqa: S301 - it was pickled in the line above
    except Exception:  # noqa: BLE001 - whatever a third party's class does
        return None
    return text


class InvalidInputError(VecbridgeError, ValueError):
    """An argument is unusable; nothing was changed."""


class InvalidVectorError(InvalidInputError):
    """A vector is not numeric, not finite, or does not fit into float32."""


class DimensionError(InvalidInputError):
    """A vector's length differs from the dimension of the index."""


class InvalidIdError(InvalidInputError):
    """An id is not a string of 1 to 512 UTF-8 bytes without NUL."""


class DuplicateIdError(InvalidInputError):
    """The same id occurs twice in one call."""


class InvalidArgumentError(InvalidInputError):
    """Any other unusable argument: ``k < 1``, an unknown metric, a bad name."""


class FilterSyntaxError(InvalidInputError):
    """A text is not a filter; the message points at the error and says what is expected there.

    Attributes:
        text: the text.
        position: where the error is in it, in characters from 0.
    """

    def __init__(self, message: str, *, text: str, position: int) -> None:
        super().__init__(message)
        self.text = text
        self.position = position


class IndexNotFoundError(VecbridgeError, LookupError):
    """No index of that name exists in the backend."""


class IndexExistsError(VecbridgeError, ValueError):
    """An index of that name exists already."""


class SchemaMismatchError(VecbridgeError, ValueError):
    """An existing index has another dimension, metric or set of fields than asked for."""


class UnsupportedError(VecbridgeError, NotImplementedError):
    """The backend does not declare the capability that this call needs.

    Attributes:
        capability: name of the missing field of :class:`vecbridge.Capabilities`.
    """

    def __init__(self, message: str, *, capability: str) -> None:
        super().__init__(message)
        self.capability = capability


class ConfigurationError(VecbridgeError, ValueError):
    """A setting is missing, unreadable, contradictory or of the wrong type."""


class UnknownSettingError(ConfigurationError):
    """A setting is not one that the backend knows; the message names the nearest."""


class UnknownBackendError(ConfigurationError, LookupError):
    """No installed package provides a backend of that name."""


class AmbiguousBackendError(ConfigurationError):
    """Two installed packages provide a backend of the same name."""


class MissingDependencyError(VecbridgeError, ImportError):
    """A package that the backend needs is not installed; the message names the extra."""


class BackendError(VecbridgeError):
    """The store failed, or refused a request.

    Attributes:
        backend: name of the backend, as given to :func:`vecbridge.get_backend`.
        operation: the contract's name of the operation, such as ``"upsert"``.
        retryable: whether the same call may succeed later without any change.
    """

    def __init__(
        self, message: str, *, backend: str, operation: str, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.backend = backend
        self.operation = operation
        self.retryable = retryable


class ConnectionFailedError(BackendError, ConnectionError):
    """The store cannot be reached."""


class AuthenticationError(BackendError, PermissionError):
    """The store refuses the credentials, or they do not permit the operation."""


class OperationTimeoutError(BackendError, TimeoutError):
    """The store did not answer within the timeout; a write's outcome is unknown."""


class CorruptStoreError(BackendError):
    """A file is damaged, or was not written by vecbridge. It is left as it was found."""


class ClosedError(BackendError):
    """The backend or index was closed."""


class PartialWriteError(BackendError):
    """A write failed part-way. Repeating the call is always safe.

    Attributes:
        written: ids whose write the store acknowledged.
        unknown: ids whose fate is unknown: sent, but not acknowledged, or never sent.
    """

    def __init__(
        self,
        message: str,
        *,
        backend: str,
        operation: str,
        written: Sequence[str],
        unknown: Sequence[str],
        retryable: bool = True,
    ) -> None:
        super().__init__(message, backend=backend, operation=operation, retryable=retryable)
        self.written = tuple(written)
        self.unknown = tuple(unknown)


class PartitionsFailedError(BackendError):
    """Work on some partitions of an index failed; the work on the others is done and kept.

    Attributes:
        failed: what went wrong, by the number of the partition.
    """

    def __init__(
        self,
        message: str,
        *,
        backend: str,
        operation: str,
        failed: Mapping[int, str],
        retryable: bool = True,
    ) -> None:
        super().__init__(message, backend=backend, operation=operation, retryable=retryable)
        self.failed = dict(failed)
