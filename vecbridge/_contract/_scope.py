"""What a call reads: which records, and how fresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter


@dataclass(frozen=True)
class IdRange:
    """A range of ids, by code point.

    Attributes:
        start: the first id that may be in it; ``None`` for no lower end.
        stop: the first id beyond it; ``None`` for no upper end.

    Example:
        >>> [name in IdRange("b", "d") for name in ("a", "b", "d")]
        [False, True, False]
    """

    start: str | None = None
    stop: str | None = None

    def __contains__(self, name: str) -> bool:
        return (self.start is None or name >= self.start) and (
            self.stop is None or name < self.stop
        )


@dataclass(frozen=True)
class Scope:
    """Which records a call may return, and what it is guaranteed to see.

    The client layer makes it from the keywords of a call, and hands it to the engine.

    Attributes:
        within: ids of the only candidates; ids without a record are ignored. ``None``: all.
        where: a settled filter, as :func:`vecbridge.filters.settle` returns it; ``None``: none.
        consistency: level of the read, one that the index declares.

    Example:
        >>> from vecbridge import Scope
        >>> Scope(within=["a", "b"]).is_empty, Scope(within=[]).is_empty
        (False, True)
    """

    within: Sequence[str] | None = None
    where: Filter | None = None
    consistency: Consistency = "strong"

    @property
    def is_empty(self) -> bool:
        """Return whether the scope is known to hold no record."""
        return self.within is not None and not self.within

    def distinct(self) -> Scope:
        """Return the same scope with each id listed once."""
        return self if self.within is None else replace(self, within=[*dict.fromkeys(self.within)])
