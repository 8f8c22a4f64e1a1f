"""Consistency levels, defined by what a read is guaranteed to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from vecbridge._errors import InvalidArgumentError

Consistency = Literal["strong", "session", "bounded", "eventual"]
"""What a read is guaranteed to see.

``strong``: every write acknowledged before the read began, by any process.
``session``: at least this process's own writes and deletes.
``bounded``: nothing older than the store's bound is missed.
``eventual``: reads converge once writes stop.
"""

CONSISTENCY_LEVELS: tuple[Consistency, ...] = get_args(Consistency)
"""Every level, strongest first. A stronger level satisfies a weaker one."""


def parse_consistency(value: object) -> Consistency:
    """Read a level, in any case; Milvus's ``Eventually`` is ``eventual``.

    Raises:
        InvalidArgumentError: the value names no level.
    """
    if isinstance(value, str):
        word = value.lower()
        word = "eventual" if word == "eventually" else word
        for level in CONSISTENCY_LEVELS:
            if word == level:
                return level
    raise InvalidArgumentError(
        f"consistency must be one of {', '.join(CONSISTENCY_LEVELS)}; got {value!r}"
    )


def strongest_level(offered: Iterable[Consistency]) -> Consistency:
    """Return the strongest of the levels that are offered."""
    return min(offered, key=CONSISTENCY_LEVELS.index)


def satisfying_level(wanted: Consistency, offered: Iterable[Consistency]) -> Consistency | None:
    """Return the weakest offered level that is at least as strong as the wanted one, if any."""
    available = set(offered)
    strongest_first = CONSISTENCY_LEVELS[: CONSISTENCY_LEVELS.index(wanted) + 1]
    return next((level for level in reversed(strongest_first) if level in available), None)
