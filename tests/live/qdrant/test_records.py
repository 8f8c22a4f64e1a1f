"""Records in Qdrant come back as they were written, and are ranked and filtered exactly."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from tests.live.qdrant.conftest import Opener
from vecbridge import Metric, field

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

IDS = ["plain", "with 'quotes'", "line\nbreak", "🦀", "1", "5f0e8f0e8f0e8f0e8f0e8f0e"]
FIRST = datetime(1, 1, 1, tzinfo=timezone.utc)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)
# Qdrant's reader of JSON makes the last bit of the third another one.
FLOATS = [-0.0, 5e-324, 0.09144338512092887, -1.7976931348623157e308, 0.0, 1e-7]
COLUMNS: dict[str, list[Any]] = {
    "word": ["", "a\u0001b", None, "{}", "é", "e\u0301"],
    "whole": [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1, 0, 2**53],
    "real": FLOATS,
    "truth": [True, False, True, None, False, None],
    "moment": [FIRST, LAST, None, FIRST + timedelta(microseconds=1), FIRST, LAST],
    "tags": [[], ["a", "b", "a"], None, [""], ["a"], []],
}
TYPES: Any = {
    "word": "string?",
    "whole": "integer",
    "real": "float",
    "truth": "boolean?",
    "moment": "timestamp?",
    "tags": "strings?",
}
FILTERS: list[tuple[Any, set[int]]] = [
    (field("whole") > 2**53, {0, 2}),
    (field("whole") >= 2**53 + 1, {0, 2}),
    (field("whole") < 2**53 + 1, {1, 3, 4, 5}),
    (field("whole") <= -(2**53) - 1, {1, 3}),
    (field("whole") < 2**63 - 1, {1, 2, 3, 4, 5}),
    (field("whole") > -(2**63), {0, 2, 3, 4, 5}),
    (field("real") == 0.0, {0, 4}),
    (field("real") < 0.0, {3}),
    (field("real") >= 5e-324, {1, 2, 5}),
    (field("real") > 5e-324, {2, 5}),
    (field("real") < 0.09144338512092887, {0, 1, 3, 4, 5}),
    (field("truth") != True, {1, 4}),  # noqa: E712
    (field("moment") <= FIRST, {0, 4}),
    (field("moment") > FIRST + timedelta(microseconds=1), {1, 5}),
    (field("tags").contains(""), {3}),
    (field("tags").is_missing(), {2}),
    (~field("tags").contains_any(["a", ""]), {0, 2, 5}),
    (field("word").is_missing() | (field("word") == "é"), {2, 4}),
    (field("word") > "a", {1, 3, 4, 5}),
]


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_bits_come_back_and_rankings_are_exact(opened: Opener, name: str, metric: Metric) -> None:
    vectors = np.random.default_rng(7).standard_normal((len(IDS), 5)).astype(np.float32)
    vectors[1], vectors[2] = 0.0, -0.0
    vectors[3] *= np.float32(1e30)
    vectors[4] *= np.float32(1e-30)
    store = opened()
    index = store.create_index(name, dimension=5, metric=metric, fields=TYPES)
    index.upsert(IDS, vectors, COLUMNS)
    records = opened().open_index(name).fetch(IDS)

    assert records.vectors.tobytes() == vectors.tobytes()
    assert records.fields == COLUMNS
    assert str(records.fields["real"][0]) == "-0.0"
    reference = opened_reference(metric, vectors)
    for query in [*vectors, np.ones(5, np.float32)]:
        hits, expected = index.search(query, k=4)[0], reference.search(query, k=4)[0]
        assert hits.exact
        assert (hits.ids, hits.distances.tolist()) == (expected.ids, expected.distances.tolist())
    for where, rows in FILTERS:
        found = {each for batch in index.scan(where=where) for each in batch.ids}
        assert found == {IDS[row] for row in rows}, where
    store.drop_index(name)


def opened_reference(metric: Metric, vectors: Any) -> Any:
    import vecbridge

    index = vecbridge.get_backend("sklearn").create_index("same", dimension=5, metric=metric)
    index.upsert(IDS, vectors)
    return index
