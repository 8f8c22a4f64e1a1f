"""The one boundary at which SQLite's and the system's errors become the contract's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vecbridge._errors import BackendError, CorruptStoreError, OperationTimeoutError

# Only where Python tells codes, which 3.10 does not: "disk I/O error" may be the disk's.
_SHORT = "SHORT_READ"
# SQLite's texts, not its codes: Python 3.10 has no ``sqlite_errorcode``.
_CORRUPT = ("malformed", "not a database", "unsupported file format")
_LOCKED = ("is locked", "is busy")
_FULL = ("is full",)
_READ_ONLY = ("readonly", "unable to open", "authorization")
# What a damaged file makes of our statements, which are right.
_DAMAGED = (sqlite3.IntegrityError, sqlite3.DataError)


@dataclass(frozen=True)
class ErrorContext:
    """The backend and the file of an operation, for messages.

    Attributes:
        backend: name of the backend that uses the store.
        path: the database file.
    """

    backend: str
    path: Path

    @property
    def log(self) -> Path:
        """Where SQLite keeps the log of the file."""
        return self.path.with_name(self.path.name + "-wal")

    def corrupt(self, operation: str, found: str) -> CorruptStoreError:
        """Return the error of a file that is not as vecbridge left it."""
        message = (
            f"{self.path} cannot be used: {found}. It was left untouched; restore it from a copy, "
            f"or move it away and build the index again"
        )
        return CorruptStoreError(message, backend=self.backend, operation=operation)

    def failed(self, operation: str, found: str, *, retryable: bool = False) -> BackendError:
        """Return the error of an operation on the file."""
        message = f"{operation} failed on {self.path}: {found}"
        return BackendError(message, backend=self.backend, operation=operation, retryable=retryable)

    def unreadable(self, operation: str) -> BackendError:
        """Return the error of a store that must be written to before it can be read."""
        return self.failed(
            operation,
            f"its process ended before it closed the store, and "
            f"left the log {self.log.name}, which must be taken in first; this process may not "
            f"write the file and its folder. Open the store once where it can be written, or copy "
            f"the whole folder to such a place",
        )

    def inherited(self, operation: str) -> BackendError:
        """Return the error of a child of ``fork`` whose parent was using the file."""
        return self.failed(
            operation,
            "this process was forked while its parent was in "
            "the middle of a call on it, and SQLite cannot be used on it here. Nothing was "
            "changed; start processes with the method 'spawn' or 'forkserver'",
        )

    @contextmanager
    def mapped(self, operation: str) -> Iterator[None]:
        """Turn errors of SQLite and of the file system into :class:`vecbridge.BackendError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.of_sqlite(operation, error) from error
        except UnicodeDecodeError as error:
            # Of a message of SQLite that quotes the damaged file.
            raise self.corrupt(operation, "SQLite says what is no text") from error
        except MemoryError as error:
            raise BackendError(
                f"{operation} on {self.path} ran out of memory. Nothing was changed; an index is "
                f"held in memory whole, so free some, or split the index",
                backend=self.backend,
                operation=operation,
            ) from error
        except OSError as error:
            if isinstance(error, BackendError):
                raise
            found = f"{error}. Check that the path is a directory that this process may write to"
            raise self.failed(operation, found) from error

    def of_sqlite(self, operation: str, error: sqlite3.Error) -> BackendError:
        """Return the contract's error for one of SQLite's."""
        text = str(error)
        if _SHORT in getattr(error, "sqlite_errorname", ""):
            return self.corrupt(
                operation,
                f"it or its log {self.log.name} is shorter than what other processes have "
                f"written; it was cut or emptied",
            )
        if isinstance(error, _DAMAGED) or any(word in text for word in _CORRUPT):
            return self.corrupt(operation, f"SQLite says: {text}")
        if any(word in text for word in _LOCKED):
            return OperationTimeoutError(
                f"{operation} gave up waiting: another process holds the write lock of "
                f"{self.path}. Nothing was changed; try again",
                backend=self.backend,
                operation=operation,
                retryable=True,
            )
        advice, retryable = "Nothing was changed", False
        if any(word in text for word in _FULL):
            advice, retryable = "Nothing was changed; make room and try again", True
            if operation in ("delete", "drop_index"):
                advice = (
                    "Nothing was changed: what is deleted is written to the log first, and frees "
                    "its space then. Make a few megabytes of room elsewhere, and try again"
                )
        elif any(word in text for word in _READ_ONLY):
            advice = (
                "Nothing was changed; this process may not write the file and its folder, or the "
                "disk is read-only: change that, or copy the folder to where it can be written"
            )
        return self.failed(operation, f"{text}. {advice}", retryable=retryable)


def refuse_nested(operation: str, backend: str, place: str) -> NoReturn:
    """Refuse a call out of what interrupts another call of the same thread."""
    raise BackendError(
        f"{operation} was asked of {place} by a signal handler (or a finaliser) that interrupts "
        f"another call of the same thread on it. Nothing was changed; ask after the handler has "
        f"returned",
        backend=backend,
        operation=operation,
        retryable=True,
    )
