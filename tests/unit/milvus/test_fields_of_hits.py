"""The fields of hits cost one request more than the hits, of up to 2000 records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.servers.milvus_wire import Wire
from vecbridge import Index, Ranking


def reads(wire: Wire) -> int:
    """How many records were asked for; each read also looks whether the index is still there."""
    return sum(name != "DescribeCollection" for name, _ in wire.calls)


@pytest.mark.parametrize("ranking", ["exact", "native"])
@pytest.mark.parametrize("queries", [1, 16])
@pytest.mark.parametrize("k", [10, 100])
def test_fields_of_hits_take_one_read_more(
    make_index: Callable[..., Index], wire: Wire, queries: int, k: int, ranking: Ranking
) -> None:
    vectors = np.random.default_rng(3).standard_normal((1700, 8), dtype=np.float32)
    index = make_index(dimension=8, metric="cosine", fields={"label": "string"})
    index.upsert([str(row) for row in range(1700)], vectors, {"label": ["x"] * 1700})
    index.search(vectors[:1])

    wire.clear()
    without = index.search(vectors[:queries], k, ranking=ranking)
    asked = reads(wire)
    wire.clear()
    answers = index.search(vectors[:queries], k, ranking=ranking, fields=["label"])

    assert asked < reads(wire) <= asked + 1
    assert [hits.ids for hits in answers] == [hits.ids for hits in without]
    assert all(hits.fields["label"] == ["x"] * k for hits in answers)
