from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

import vecbridge
from tests.unit.transfer.conftest import small_batches
from vecbridge import FieldType, FieldValue, Index, InvalidArgumentError, Store
from vecbridge.transfer import Changed, verify

FIELDS: dict[str, FieldType] = {"label": "string", "score": "float?", "tags": "strings?"}
IDS = [f"é{row:03}" for row in range(300)]


def made(store: Store, name: str, fields: dict[str, FieldType] | None = None) -> Index:
    index = store.create_index(name, dimension=3, metric="euclidean", fields=fields or FIELDS)
    put(index, IDS)
    return index


def put(index: Index, ids: Sequence[str]) -> None:
    rows = np.array([[sum(name.encode()) % 97, len(name), 1] for name in ids], dtype=np.float32)
    values: dict[str, FieldValue] = {"label": "cat", "score": 0.5, "tags": ["a"]}
    index.upsert(ids, rows, {name: [values[name]] * len(ids) for name in index.info.fields})


@pytest.fixture
def pair(store: Store) -> tuple[Index, Index]:
    """Two equal indexes of two stores, both read in small batches."""
    other = small_batches(vecbridge.get_backend("faiss"))
    return made(store, "one"), made(other, "other")


def test_where_nothing_differs_nothing_is_named(pair: tuple[Index, Index]) -> None:
    found = verify(*pair)
    assert found.same
    assert (found.differences.missing, found.differences.extra, found.differences.changed) == (
        0,
        0,
        0,
    )
    assert found.differences.schema == {}


def test_every_difference_is_counted_and_the_first_are_named(pair: tuple[Index, Index]) -> None:
    one, other = pair
    drawn = random.Random(7).sample(IDS, 90)
    missing, changed = sorted(drawn[:40]), sorted(drawn[40:])
    extra = [f"z{row}" for row in range(25)]
    other.delete(missing)
    put(other, extra)
    other.update_fields(changed, {"label": ["dog"] * len(changed)})

    found = verify(one, other, limit=4).differences
    assert (found.missing, found.extra, found.changed) == (40, 25, 50)
    assert found.missing_ids == tuple(missing[:4])
    assert found.extra_ids == tuple(sorted(extra)[:4])
    assert [each.id for each in found.changed_records] == changed[:4]

    turned = verify(other, one, limit=300).differences
    assert (turned.missing, turned.extra, turned.changed) == (25, 40, 50)
    assert set(turned.extra_ids) == set(missing)
    assert {each.id for each in turned.changed_records} == set(changed)


def test_a_change_is_told_with_both_values(pair: tuple[Index, Index]) -> None:
    one, other = pair
    (vector,) = other.fetch(IDS[:1]).vectors
    vector[1:] = [-0.0, 7]
    other.upsert(IDS[:1], [vector], {"label": ["cat"], "score": [None], "tags": [["a", "b"]]})
    ours = one.fetch(IDS[:1]).vectors[0]

    (changed,) = verify(one, other).differences.changed_records
    assert changed == Changed(
        IDS[0],
        {"score": (0.5, None), "tags": (["a"], ["a", "b"])},
        2,
        (1, float(ours[1]), -0.0),
    )


def test_as_many_records_but_others_are_found_both_ways(pair: tuple[Index, Index]) -> None:
    one, other = pair
    other.delete(IDS[5:6])
    put(other, ["new"])
    found = verify(one, other, queries=0)
    assert (found.differences.missing_ids, found.differences.extra_ids) == (("é005",), ("new",))
    assert not found.same


def test_a_missing_value_is_not_an_empty_or_zero_one(pair: tuple[Index, Index]) -> None:
    one, other = pair
    one.update_fields(IDS[:1], {"score": [0.0]})
    other.update_fields(IDS[:1], {"score": [None]})
    (changed,) = verify(one, other).differences.changed_records
    assert changed.fields == {"score": (0.0, None)}


def test_other_fields_and_another_metric_are_differences_of_the_schema(store: Store) -> None:
    one = made(store, "one", {"label": "string", "score": "float?"})
    other = store.create_index(
        "two", dimension=3, metric="cosine", fields={"label": "string?", "tags": "strings?"}
    )
    put(other, IDS[:-1])
    found = verify(one, other, queries=0)
    assert found.differences.schema == {
        "metric": ("euclidean", "cosine"),
        "field label": ("string", "string?"),
        "field score": ("float?", None),
        "field tags": (None, "strings?"),
    }
    assert (found.differences.missing_ids, found.differences.changed) == ((IDS[-1],), 0)


def test_another_metric_alone_is_not_the_same(store: Store) -> None:
    one = store.create_index("one", dimension=1, metric="cosine")
    other = store.create_index("other", dimension=1, metric="dotproduct")
    assert not verify(one, other, queries=0).same


def test_none_are_named_where_none_is_asked_for(pair: tuple[Index, Index]) -> None:
    one, other = pair
    other.delete(IDS[:3])
    found = verify(one, other, limit=0).differences
    assert (found.missing, found.missing_ids) == (3, ())
    with pytest.raises(InvalidArgumentError, match="limit"):
        verify(one, other, limit=-1)
