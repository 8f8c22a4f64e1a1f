"""Rankings: how sure an answer has to be, and how several queries make one."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from vecbridge._errors import InvalidArgumentError

Ranking = Literal["exact", "certified", "no-scan", "native"]
"""How sure an answer has to be, and what may be spent on it.

``exact``: exact distances in exact order; certified wherever the index declares ``exact``.
``certified``: certified by every index, if need be by looking at every record.
``no-scan``: exact distances in exact order, without a look at every record; the answer may say
``exact=False``.
``native``: the engine's own distances.
"""

RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
"""Every ranking of the contract."""

Aggregation: TypeAlias = Literal["mean", "post-mean", "post-min", "post-max"]
"""How several queries make one ranking.

``mean``: by the distance to the mean of the queries. ``post-mean``, ``post-min``, ``post-max``: by
the mean, least or greatest of the distances to each query.
"""

AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)
"""Every aggregation of the contract."""


def parse_ranking(value: object) -> Ranking:
    """Return the ranking that a value names.

    Raises:
        InvalidArgumentError: the value names none.
    """
    for ranking in RANKINGS:
        if isinstance(value, str) and value == ranking:
            return ranking
    raise InvalidArgumentError(f"ranking must be one of {', '.join(RANKINGS)}; got {value!r}")


def parse_aggregation(value: object) -> Aggregation:
    """Return the aggregation that a value names.

    Raises:
        InvalidArgumentError: the value names none.
    """
    for known in AGGREGATIONS:
        if isinstance(value, str) and value == known:
            return known
    raise InvalidArgumentError(
        f"aggregation must be one of {', '.join(AGGREGATIONS)}; got {value!r}"
    )
