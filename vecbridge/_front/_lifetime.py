"""Whether what was opened may still be used."""

from __future__ import annotations


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
