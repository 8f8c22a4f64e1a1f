"""Answers that break the contract, made from right ones: what a broken store may send."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vecbridge import Candidates, Hits, Records

Spoil = Callable[[Any], Any]


def _nothing(answer: Any) -> None:
    """Return nothing, as a method does that forgets to return."""
    del answer


def _nan(array: Any) -> Any:
    spoilt = array.copy()
    spoilt[0] = math.nan
    return spoilt


def _each(change: Spoil) -> Spoil:
    """Return the change made to the answer of the first query."""
    return lambda answers: [change(answers[0]), *answers[1:]]


def _doubled(found: Records) -> Records:
    """Return twice the records, under other ids."""
    more = tuple(f"{name}-again" for name in found.ids)
    vectors = np.concatenate([found.vectors, found.vectors])
    return Records(found.ids + more, vectors, found.fields)


_RECORDS: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "a vector too few": lambda found: replace(found, vectors=found.vectors[1:]),
    "a dimension too few": lambda found: replace(found, vectors=found.vectors[:, 1:].copy()),
    "another type": lambda found: replace(found, vectors=found.vectors.astype(np.float64)),
    "NaN": lambda found: replace(found, vectors=_nan(found.vectors)),
    "an id twice": lambda found: replace(found, ids=(found.ids[1], *found.ids[1:])),
    "ids that are bytes": lambda found: replace(
        found, ids=tuple(name.encode() for name in found.ids)
    ),
    "an unknown field": lambda found: replace(found, fields={"unasked": [1] * len(found)}),
}
_HITS: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "one answer too many": lambda answers: [*answers, answers[0]],
    "nothing for a query": _each(_nothing),
    "a distance too few": _each(lambda hits: Hits(hits.ids, hits.distances[1:])),
    "NaN": _each(lambda hits: Hits(hits.ids, _nan(hits.distances))),
    "an id twice": _each(lambda hits: Hits((hits.ids[1], *hits.ids[1:]), hits.distances)),
    "numbers for ids": _each(lambda hits: Hits(tuple(range(len(hits))), hits.distances)),  # type: ignore[arg-type]
    "an id from outside": _each(lambda hits: Hits(("stranger", *hits.ids[1:]), hits.distances)),
}
_CANDIDATES: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "one answer too few": lambda answers: answers[1:],
    "a vector too few": _each(lambda one: Candidates(one.ids, one.vectors[1:], one.lower_bound)),
    "NaN": _each(lambda one: Candidates(one.ids, _nan(one.vectors), one.lower_bound)),
    "a lower bound of NaN": _each(lambda one: Candidates(one.ids, one.vectors, math.nan)),
    "an id twice": _each(
        lambda one: Candidates((one.ids[1], *one.ids[1:]), one.vectors, one.lower_bound)
    ),
    "an id from outside": _each(
        lambda one: Candidates(("stranger", *one.ids[1:]), one.vectors, one.lower_bound)
    ),
}
GARBAGE: Mapping[str, Mapping[str, Spoil]] = {
    "fetch": {
        **_RECORDS,
        "the order of the store": lambda found: Records(
            found.ids[::-1], found.vectors[::-1].copy(), found.fields, found.missing
        ),
        "a record that nobody asked for": lambda found: replace(
            found, ids=("stranger", *found.ids[1:])
        ),
    },
    "contains": {
        "nothing": _nothing,
        "one too few": lambda found: found[1:],
        "numbers": lambda found: found.astype(np.int64),
        "a list": lambda found: found.tolist(),
    },
    "count": {
        "nothing": _nothing,
        "less than nothing": lambda found: -found,
        "a float": float,
        "text": str,
    },
    "scan": {**_RECORDS, "more than a batch": _doubled},
    "search": _HITS,
    "candidates": _CANDIDATES,
}
"""Spoilt answers by operation and by what is wrong with them."""
