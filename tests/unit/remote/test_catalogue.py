"""What is kept with an index, and names that stores take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vecbridge import CorruptStoreError, IndexInfo
from vecbridge.remote import from_document, storage_name, to_document, uuid_of

INFO = IndexInfo("photos", 3, "dotproduct", {"label": "string?", "n": "integer"}, "session")


def test_a_document_reads_back_as_the_same_schema() -> None:
    assert from_document(to_document(INFO), backend="shelf") == INFO


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": "3"},
        {"dimension": True},
        {"metric": "l1"},
        {"fields": {"label": "blob"}},
        {"fields": 3},
        {"consistency": "weak"},
        {"name": None},
        {"vecbridge": "1"},
    ],
)
def test_a_document_that_is_not_ours_is_corrupt(change: dict[str, Any]) -> None:
    document = {**json.loads(to_document(INFO)), **change}
    with pytest.raises(CorruptStoreError):
        from_document(json.dumps(document), backend="shelf")


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '"x"', "{}"])
def test_other_text_is_corrupt(text: str) -> None:
    with pytest.raises(CorruptStoreError):
        from_document(text, backend="shelf")


def test_a_document_of_a_newer_release_says_so() -> None:
    with pytest.raises(CorruptStoreError, match=r"version 2.* upgrade"):
        from_document('{"vecbridge":2}', backend="shelf")


def test_no_two_names_share_a_name_in_the_store() -> None:
    names = ["a" * length for length in (10, 29, 30, 31, 200)] + ["a" * 30 + "b", "id", "id_"]
    stored = [storage_name(name, longest=30, taken={"id"}) for name in names]
    assert len(set(stored)) == len(names)
    assert max(map(len, stored)) <= 30
    assert "id" not in stored


def test_an_id_has_one_uuid_and_another_id_another() -> None:
    assert uuid_of("é") == uuid_of("é")
    assert len({uuid_of(name) for name in ("é", "e\u0301", "", "a", "A")}) == 5
