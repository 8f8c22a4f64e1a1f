"""Random filters over every type of field, asked of a store, and what they mean without one.

How much of each filter the store's engine is given to evaluate is counted on the way: a store that
is given nothing answers rightly, and shows nothing of itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast

import numpy as np

from vecbridge import FieldType, Filter, Index, Records, Scope, Store, VectorIndex
from vecbridge.filters import And, Not, Or, settle
from vecbridge_conformance.suite.test_semantics_field_types import random_filter, random_rows

COUNT = 80
IDS = [f"r{number:02}" for number in range(COUNT)]
VECTORS = np.array([[number, 1] for number in range(COUNT)], dtype=np.float32)
QUERY = [0, 1]
_HALF = IDS[::2]
_DELETED_EVERY = 400

Ask = Callable[[Index, Filter], Sequence[str]]
WAYS: dict[str, Ask] = {
    "search": lambda index, where: index.search(QUERY, COUNT, where=where)[0].ids,
    "search 3": lambda index, where: index.search(QUERY, 3, where=where)[0].ids,
    "search all": lambda index, where: index.search(QUERY, None, where=where)[0].ids,
    "certified": lambda index, where: (
        index.search(QUERY, 9, where=where, ranking="certified")[0].ids
    ),
    "native": lambda index, where: index.search(QUERY, COUNT, where=where, ranking="native")[0].ids,
    "within": lambda index, where: index.search(QUERY, COUNT, where=where, within=_HALF)[0].ids,
    "farthest": lambda index, where: index.farthest(QUERY, COUNT, where=where)[0].ids[::-1],
    "range": lambda index, where: index.range_search(QUERY, 1e9, where=where)[0].ids,
    "aggregated": lambda index, where: (
        index.search_aggregated([QUERY, QUERY], None, aggregation="post-min", where=where).ids
    ),
    "neighbors": lambda index, where: [name for name, _ in index.neighbors(1, where=where)],
    "scan": lambda index, where: _scanned(index.scan(7, where=where, start="r")),
    "any scan": lambda index, where: sorted(_scanned(index.scan(where=where, vectors=False))),
    "pages": lambda index, where: _scanned(index.scan(5, where=where, after="r39")),
    "count": lambda index, where: [str(index.count(where=where))],
}


def expected_of(way: str, accepted: Sequence[str]) -> Sequence[str]:
    """What a way of asking gives, where a filter accepts these of the ids."""
    if way == "count":
        return [str(len(accepted))]
    if way == "within":
        return [name for name in accepted if name in set(_HALF)]
    if way == "pages":
        return [name for name in accepted if name > "r39"]
    return accepted[: {"search 3": 3, "certified": 9}.get(way)]


@dataclass
class Outcome:
    """What came of asking a store.

    Attributes:
        filters: how many were asked.
        decided: of how many the answer is known without a store.
        whole: how many the engine was given whole.
        part: of how many it was given a part.
        conditions: how many conditions those had that are not decided.
        pushed: how many of these the engine was given.
        wrong: where an answer differs from what the filter means.
    """

    filters: int = 0
    decided: int = 0
    whole: int = 0
    part: int = 0
    conditions: int = 0
    pushed: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        asked = max(1, self.filters - self.decided)
        none = asked - self.whole - self.part
        return (
            f"{self.filters:,} filters, {len(self.wrong)} differences; {self.decided:,} need no "
            f"store; of the others pushed down whole {self.whole / asked:.1%}, in part "
            f"{self.part / asked:.1%}, not at all {none / asked:.1%}; "
            f"{self.pushed / max(1, self.conditions):.1%} of {self.conditions:,} conditions"
        )


def fields_of(store: Store) -> dict[str, FieldType]:
    """A field of each type that a store has."""
    with store.create_index("types", dimension=2) as index:
        known = sorted(index.capabilities.field_types)
    store.drop_index("types")
    return {f"f_{kind.rstrip('?')}{'_o' * kind.endswith('?')}": kind for kind in known}


def compare(index: Index, count: int, seed: int) -> Outcome:
    """Ask random filters of an empty index of two dimensions, each in two ways.

    Args:
        index: whose fields are those of :func:`fields_of`.
        count: how many filters.
        seed: of the random ones.
    """
    fields = dict(index.info.fields)
    rows = random_rows(fields, COUNT, seed=3)
    columns = {name: [row[name] for row in rows] for name in fields}
    index.upsert(IDS, VECTORS, columns)
    watched = _Watched(index.engine)
    asked = Index(cast("VectorIndex", watched))
    draw, outcome, others = random.Random(seed), Outcome(), cycle(list(WAYS)[1:])
    for number in range(count):
        where, meaning = random_filter(draw, fields, depth=draw.choice([0, 1, 2, 3, 4]))
        accepted = [name for name, row in zip(IDS, rows, strict=True) if meaning(row)]
        watched.given = None
        for way in ("search", next(others)):
            found = list(WAYS[way](asked, where))
            if found != list(expected_of(way, accepted)):
                outcome.wrong.append(f"{way}: {found} for {accepted}: {where!r:.300}")
        _note(outcome, settle(where, fields, index.info.limits), watched.given)
        if number % _DELETED_EVERY == 0:
            index.delete(where=where)
            left = sorted(_scanned(index.scan(vectors=False)))
            if left != [name for name in IDS if name not in set(accepted)]:
                outcome.wrong.append(f"delete left {left}: {where!r:.300}")
            index.upsert(IDS, VECTORS, columns)
    return outcome


class _Watched:
    """An engine, and the filter that it was given last for candidates."""

    given: Filter | None = None

    def __init__(self, engine: VectorIndex) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def candidates(self, queries: Any, k: int, scope: Scope) -> Any:
        self.given = scope.where
        return self._engine.candidates(queries, k, scope)


def _note(outcome: Outcome, settled: Filter | bool, given: Filter | None) -> None:
    outcome.filters += 1
    if isinstance(settled, bool):
        outcome.decided += 1
        return
    outcome.conditions += _conditions(settled)
    if given is not None:
        outcome.pushed += _conditions(given)
        outcome.whole += given == settled
        outcome.part += given != settled


def _conditions(where: Filter) -> int:
    if isinstance(where, (And, Or, Not)):
        return sum(map(_conditions, where.operands()))
    return 1


def _scanned(pages: Iterator[Records]) -> list[str]:
    return [name for page in pages for name in page.ids]
