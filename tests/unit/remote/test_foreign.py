"""What another program's collection holds becomes a schema, or is refused by name."""

from __future__ import annotations

import pytest

from vecbridge import FieldLimits, Metric, SchemaMismatchError
from vecbridge.remote import ForeignSchema


def test_what_can_be_no_field_is_said_and_never_lost() -> None:
    schema = ForeignSchema("photos")
    schema.add("year", "integer", limits=FieldLimits(largest=9999))
    schema.add("label", "string?")
    schema.add("odd name", "string", "text", required=True)
    schema.add("picture", None, "bytes")
    info = schema.info(3, "cosine", max_id_bytes=24)
    assert dict(info.fields) == {"year": "integer", "label": "string?"}
    assert dict(info.limits) == {"year": FieldLimits(largest=9999)}
    assert dict(info.unsupported) == {"odd name": "text", "picture": "bytes"}
    assert info.required == {"odd name"}
    assert (info.name, info.dimension, info.metric, info.max_id_bytes) == (
        "photos",
        3,
        "cosine",
        24,
    )


def test_one_of_several_is_the_only_one_or_has_to_be_named() -> None:
    schema = ForeignSchema("photos", "collection")
    assert schema.only([7], "vectors", "vector_name") == 7
    with pytest.raises(
        SchemaMismatchError, match=r"collection of index 'photos' has 2 vectors \(1, 2\).*vector_n"
    ):
        schema.only([1, 2], "vectors", "vector_name")
    with pytest.raises(SchemaMismatchError, match="has 0 vectors; name"):
        schema.only([], "vectors", "vector_name")


def test_a_metric_is_what_is_given_or_all_that_is_known() -> None:
    schema = ForeignSchema("photos")
    assert schema.metric({"cosine"}, None) == "cosine"
    assert schema.metric({"cosine", "euclidean"}, "dotproduct") == "dotproduct"
    undecided: list[set[Metric]] = [set(), {"cosine", "euclidean"}]
    for known in undecided:
        with pytest.raises(SchemaMismatchError, match="setting metric"):
            schema.metric(known, None)
