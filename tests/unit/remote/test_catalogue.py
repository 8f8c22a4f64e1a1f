"""What is kept with an index, and names that stores take."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecbridge import CorruptStoreError, IndexInfo
from vecbridge.remote import (
    float_key,
    float_of,
    from_document,
    index_names,
    is_name,
    storage_name,
    to_document,
    uuid_of,
)

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


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_keys_of_floats_order_as_they_do_and_read_back_bit_for_bit(a: float, b: float) -> None:
    assert struct.pack("<d", float_of(float_key(a))) == struct.pack("<d", a)
    assert -(2**63) <= float_key(a) < 2**63
    if a < b:
        assert float_key(a) < float_key(b)
    assert float_key(-math.inf) <= float_key(a) <= float_key(math.inf)


def test_names_are_those_of_documents_then_given_ones_then_what_can_be_a_name() -> None:
    places = [("t1", to_document(INFO)), ("t2", None), ("t.3", None), ("mine", None)]
    assert index_names(places, backend="shelf", given={"renamed": "t.3"}) == [
        "photos",
        "t2",
        "renamed",
        "mine",
    ]
    assert not any(map(is_name, ("", "1a", "a-b", "a\n", "é", "a" * 256)))
