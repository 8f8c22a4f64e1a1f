"""What is known to be wrong with FiftyOne's Milvus backend, and the test that has to find it."""

from __future__ import annotations

from typing import NamedTuple


class Defect(NamedTuple):
    """One of them.

    Attributes:
        what: happens.
        clause: that forbids it.
        test: that fails by it.
        reason: what the reason of the failure says.
        note: why no clause forbids it.
    """

    what: str
    clause: str
    test: str
    reason: str = "AssertionError"
    note: str = ""


DEFECTS = [
    Defect(
        "adding an id again adds a second row",
        "WRITE-2",
        "test_an_upsert_of_a_known_id_replaces_the_record",
    ),
    Defect(
        "the size counts rows that were deleted or doubled",
        "READ-5",
        "test_count_is_the_number_of_records_after_every_step",
    ),
    Defect(
        "removing with its check of missing ids on raises `TypeError: unhashable type`",
        "WRITE-5",
        "test_a_deleted_record_is_seen_by_no_read",
        "unhashable",
    ),
    Defect(
        "ids are pasted into expressions unescaped",
        "REC-2",
        "test_deleting_a_hostile_id_deletes_nothing_else",
        "MilvusException",
    ),
    Defect(
        "distances are similarities for cosine and dot product",
        "DIST-1",
        "test_the_engine_itself_gives_the_contracts_distances[cosine]",
    ),
    Defect(
        "euclidean distances are squared",
        "DIST-4",
        "test_the_engine_itself_gives_the_contracts_distances[euclidean]",
    ),
    Defect(
        "no `get_embeddings` of everything",
        "READ-6",
        "test_scan_visits_every_record_once",
        "not offered",
    ),
    Defect("no least similar", "SEARCH-10", "test_farthest_ranks_the_other_way", "not offered"),
    Defect(
        "no `k=None`, and no `k` over 16384", "SEARCH-4", "test_k_has_no_ceiling", "not offered"
    ),
    Defect(
        "a zero vector is not at the distance that every other store has it",
        "DIST-7",
        "test_zero_vectors_are_at_cosine_distance_one[native]",
    ),
    Defect(
        "`overwrite=False` adds ids that are there already",
        "",
        "",
        "",
        "the contract writes by upsert; in the [features](fiftyone-features.md)",
    ),
    Defect(
        "embeddings by id come in the server's order, without a word of which is which",
        "",
        "",
        "",
        "the wrapper sorts them by the ids that come along",
    ),
    Defect("one request a query vector", "", "", "", "speed is measured by `make bench`"),
    Defect(
        "the ids of a view are sent again with every query vector",
        "",
        "",
        "",
        "speed is measured by `make bench`",
    ),
    Defect(
        "a flush after every call, which servers from 2.4 allow once in ten seconds",
        "",
        "",
        "",
        "speed is measured by `make bench`",
    ),
    Defect(
        "`search_params` are nested, so `ef` never arrives", "", "", "", "no recall is declared"
    ),
    Defect("patches are looked up by sample ids", "", "", "", "the contract has no labels"),
    Defect(
        "written for the part of pymilvus that 3.1 removes", "", "", "", "no matter of behaviour"
    ),
]
"""In the order of the page."""
