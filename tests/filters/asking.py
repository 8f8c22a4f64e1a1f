"""Asks a store for the records of conditions in every way there is, and says where it is wrong."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any

from tests.filters.making import COUNT, Condition, ids, to_filter
from tests.filters.meaning import RefusedError, meaning
from vecbridge import Index, InvalidArgumentError

Ask = Callable[[Index, Any], Iterable[str]]

NAMES = ids()
_PLACES = {name: place for place, name in enumerate(NAMES)}
_HALF = NAMES[::2]

# The engine's filter, and the client layer's: the two that every condition is asked in.
USUAL: dict[str, Ask] = {
    "k = 200": lambda index, where: index.search([0, 0], COUNT, where=where)[0].ids,
    "k = None": lambda index, where: index.search([0, 0], None, where=where)[0].ids,
}
OTHERS: dict[str, Ask] = {
    "native": lambda index, where: (
        index.search([0, 0], COUNT, where=where, ranking="native")[0].ids
    ),
    "farthest": lambda index, where: index.farthest([0, 0], COUNT, where=where)[0].ids,
    "all farthest": lambda index, where: index.farthest([0, 0], None, where=where)[0].ids,
    "range": lambda index, where: index.range_search([0, 0], math.inf, where=where)[0].ids,
    "candidates": lambda index, where: index.candidates([0, 0], COUNT, where=where)[0].ids,
    "neighbors": lambda index, where: [name for name, _ in index.neighbors(1, where=where)],
    "aggregated": lambda index, where: (
        index.search_aggregated([[0, 0], [1, 1]], None, aggregation="post-min", where=where).ids
    ),
    "two halves": lambda index, where: [
        *index.search([0, 0], COUNT, where=where, within=_HALF)[0].ids,
        *index.search([0, 0], None, where=where, within=NAMES[1::2])[0].ids,
    ],
}


def how_many(usual: int) -> int:
    """How many conditions to try; ``VECBRIDGE_FILTERS`` says another number."""
    return int(os.environ.get("VECBRIDGE_FILTERS", usual))


def differences(index: Index, conditions: Sequence[Condition], every: int = 10) -> list[str]:
    """What a store does not answer, or refuse, as the conditions mean.

    Args:
        index: one that :func:`tests.filters.making.fill` filled.
        conditions: what to ask for.
        every: of how many conditions one is asked in one of the less usual ways too.
    """
    wrong: list[str] = []
    others = cycle(OTHERS.items())
    for number, condition in enumerate(conditions):
        expected = wanted(condition)
        ways = [*USUAL.items(), *([next(others)] if number % every == 0 else [])]
        for way, ask in ways:
            found = _answer(index, condition, ask)
            if found != expected:
                wrong.append(f"{way}: {_said(found)} for {_said(expected)}: {condition!r:.300}")
    return wrong


def wanted(condition: Condition) -> int | str:
    """The mask of the records that a condition means, or that it is refused."""
    try:
        return meaning(condition)
    except RefusedError:
        return "refused"


def counted(conditions: Sequence[Condition]) -> Counter[str]:
    """How many of the conditions are of each kind: all have to be many."""
    return Counter(_said(wanted(condition)).split()[0] for condition in conditions)


def _answer(index: Index, condition: Condition, ask: Ask) -> int | str:
    try:
        names = ask(index, to_filter(condition))
    except InvalidArgumentError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - whatever a store raises instead is a difference
        return f"{type(error).__name__}: {error!s:.200}"
    return _mask(names)


def _mask(names: Iterable[str]) -> int:
    mask = 0
    for name in names:
        mask |= 1 << _PLACES[name]
    return mask


def _said(answer: int | str) -> str:
    if isinstance(answer, str):
        return answer
    found = list(_bits(answer))
    return f"{'nothing' if not found else 'records'} ({len(found)}: {found[:8]})"


def _bits(mask: int) -> Iterator[int]:
    return (place for place in range(COUNT) if mask >> place & 1)
