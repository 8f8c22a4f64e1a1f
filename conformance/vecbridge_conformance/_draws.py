"""Draws of hypothesis that are the same wherever the suite runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis.internal.conjecture import providers


@contextmanager
def same_draws() -> Iterator[None]:
    """Let hypothesis draw what strategies say, and nothing else, while the block lasts.

    It also draws constants that it finds in modules which are not installed: in the suite's own,
    and in the author's, where these are under development. No setting of it turns that off, so what
    collects them is put aside; a version that has no such thing needs no such help.
    """
    inside: Any = providers
    collect = getattr(inside, "_get_local_constants", None)
    if collect is None:
        yield
        return
    none = type(inside.GLOBAL_CONSTANTS)()
    inside._get_local_constants = lambda: none  # noqa: SLF001
    # What may be drawn for each strategy is kept, with what was found for other tests.
    inside.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        inside._get_local_constants = collect  # noqa: SLF001
        inside.CONSTANTS_CACHE.cache.clear()
