"""A store is opened, an index made, used, closed, opened again and dropped."""

from __future__ import annotations

from vecbridge_conformance import Harness, clause


@clause("WRITE-1", "SEARCH-3")
def test_a_record_is_written_and_found(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["near", "far"], [[0.0, 1.0], [3.0, 4.0]])
    assert index.search([0.0, 0.0], k=2)[0].ids == ("near", "far")
