"""One table says of each failure of a client which error it is, and whether it passes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vecbridge._errors import BackendError, VecbridgeError
from vecbridge._redaction import redacted_message

Match: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Callable[[Exception], bool]
"""Which exceptions a cause is about: of a class, of one of several, or those that a test accepts."""

_LONGEST = 500


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

    def accepts(self, error: Exception) -> bool:
        """Return whether it is about an exception."""
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
        self, backend: str, store: str, causes: Sequence[Cause], *, packages: Iterable[str]
    ) -> None:
        self.backend = backend
        self.store = store
        self._causes = tuple(causes)
        self._packages = frozenset(packages)

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
        cause = next((each for each in self._causes if each.accepts(error)), None)
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
