"""Approximate indexes: what they find is right, and they find as much as they declare."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from vecbridge import METRICS, Hits, Metric
from vecbridge.ranking import distances
from vecbridge_conformance import Harness, clause, requires, vacuous
from vecbridge_conformance.checks import recall_bound
from vecbridge_conformance.data import Data, make

DIMENSION = 32
K = 10


@requires("no:exact")
@clause("RANK-6", "CAND-5")
@pytest.mark.parametrize("metric", METRICS)
def test_what_an_approximate_index_finds_is_at_its_exact_distance(
    harness: Harness, metric: Metric
) -> None:
    """Look at the vectors of candidates; whatever is found is ranked by the definition."""
    data, answers = _asked(harness, metric)
    rows = {name: row for row, name in enumerate(data.ids)}
    for query, hits in zip(data.queries, answers, strict=True):
        true = distances(metric, query, data.vectors)
        assert len(hits) == len(set(hits.ids)) == K
        assert hits.distances.tolist() == [float(true[rows[name]]) for name in hits.ids]
        pairs = [(hit.distance, hit.id) for hit in hits]
        assert pairs == sorted(pairs)


@requires("no:exact", "recall")
@clause("RANK-8")
@pytest.mark.parametrize("metric", METRICS)
def test_an_approximate_index_finds_what_it_declares(harness: Harness, metric: Metric) -> None:
    """Look at the search parameters, and at whether the store searches by its index at all."""
    declared = harness.capabilities.recall
    assert declared is not None
    share = _share(metric, *_asked(harness, metric))
    recall = recall_bound(share.found, share.wanted)
    assert recall >= declared, (
        f"{share.found} of {share.wanted} were found, which shows a recall of {recall:.3f} at "
        f"least; {declared} is declared"
    )
    if share.found == share.wanted:
        asked = harness.effort.recall_queries
        vacuous(f"nothing was missed in {asked} queries: did the store search by its index?")


class _Share(NamedTuple):
    found: int
    wanted: int


def _asked(harness: Harness, metric: Metric) -> tuple[Data, list[Hits]]:
    """Return the answers of an index that has caught up with its records."""
    effort = harness.effort
    data = make("gaussian", DIMENSION, count=effort.recall_records, queries=effort.recall_queries)
    index = harness.index(dimension=DIMENSION, metric=metric)
    index.upsert(data.ids, data.vectors)
    harness.settle(index)
    return data, index.search(data.queries, k=K)


def _share(metric: Metric, data: Data, answers: list[Hits]) -> _Share:
    """Count how many of the nearest were found; one as near as the last of them counts as one."""
    found = 0
    for query, hits in zip(data.queries, answers, strict=True):
        true = distances(metric, query, data.vectors)
        found += int((hits.distances <= np.partition(true, K - 1)[K - 1]).sum())
    return _Share(found, K * len(answers))
