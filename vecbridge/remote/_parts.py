"""Writes that go to a store a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vecbridge._errors import BackendError, PartialWriteError


class TooLargeError(BackendError):
    """A message was larger than the store takes or gives: send, or ask for, less at a time.

    A table of errors may name it as the kind of a failure; a write then goes on in smaller parts.

    Attributes:
        most: how many rows or queries the store admits, where it says so.
    """

    most: int | None = None


def in_parts(
    operation: str,
    ids: Sequence[str],
    size: int,
    write: Callable[[int, int], None],
    *,
    backend: str,
) -> None:
    """Write records a part at a time, and in smaller parts where the store finds them too large.

    Args:
        operation: the contract's name of what is being done.
        ids: of the records.
        size: most records of a part.
        write: writes those from a position to before another one.
        backend: name of the backend, for errors.

    Raises:
        PartialWriteError: a part failed after others were acknowledged.
    """
    start, size = 0, min(len(ids), size)
    while start < len(ids):
        try:
            write(start, start + size)
        except BackendError as error:
            if isinstance(error, TooLargeError) and size > 1:
                size //= 2
                continue
            if not start:
                raise
            raise PartialWriteError(
                f"{start} of {len(ids)} records were acknowledged before the {operation} of the "
                f"rest failed: {error} Do the same call again: it is safe, and completes it.",
                backend=backend,
                operation=operation,
                written=ids[:start],
                unknown=ids[start:],
                retryable=error.retryable,
            ) from error
        start += size
