"""Whether what was opened may still be used."""

from __future__ import annotations

from vecbridge._errors import ClosedError


class Lifetime:
    """Ends when its owner is closed, or with what the owner was opened over.

    Args:
        backend: the backend's name, for errors.
        over: the lifetime of what the owner was opened over.
    """

    def __init__(self, backend: str, over: Lifetime | None = None) -> None:
        self.backend = backend
        self._over = over
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the owner, or what it was opened over, is closed."""
        return self._ended or (self._over is not None and self._over.ended)

    def end(self) -> None:
        """Ends it, which it may be told twice."""
        self._ended = True

    def refusal(self, operation: str, index: str) -> ClosedError:
        """The error for an operation on an index after the end."""
        if self._ended:
            return ClosedError(
                f"{operation}: index {index!r} was closed; open it again with open_index()",
                backend=self.backend,
                operation=operation,
            )
        return ClosedError(
            f"{operation}: the store of index {index!r} was closed; get another one from "
            f"vecbridge.get_backend({self.backend!r}, ...)",
            backend=self.backend,
            operation=operation,
        )
