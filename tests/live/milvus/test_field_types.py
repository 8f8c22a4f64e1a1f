"""Fields of every type: random filters mean on Lite and on a server what they mean.

``VECBRIDGE_FILTERS`` says how many; 2000 take some 10 minutes.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from typing import Any

import pytest

import vecbridge
from tests.filters.asking import how_many
from tests.live.milvus.every_type import (
    COUNT,
    FIELDS,
    IDS,
    columns,
    condition,
    differences,
    fill,
    random_filter,
    wanted,
)
from vecbridge import Filter, Index, SchemaMismatchError, Store, field
from vecbridge_milvus import MilvusBackend, MilvusIndex


@pytest.fixture(scope="module")
def index(milvus_store: Store) -> Index:
    made = milvus_store.create_index(
        f"e_{uuid.uuid4().hex}", dimension=2, metric="euclidean", fields=FIELDS
    )
    fill(made)
    return made


def test_values_of_every_type_come_back(index: Index) -> None:
    expected = columns()
    found = index.fetch(IDS).fields
    assert {name: list(column) for name, column in found.items()} == expected
    found = next(iter(index.scan(COUNT))).fields
    assert {name: list(column) for name, column in found.items()} == expected


@pytest.mark.parametrize("state", ["growing", "sealed"])
def test_random_filters_mean_the_same_however_they_are_asked(index: Index, state: str) -> None:
    if state == "sealed":
        engine = index.engine
        assert isinstance(engine, MilvusIndex)
        engine.settle()
    draw = random.Random(3)
    filters = [random_filter(draw) for _ in range(how_many(60))]

    assert differences(index, filters) == []


def test_every_condition_means_the_same_on_every_field(index: Index) -> None:
    draw = random.Random(4)
    filters: list[Filter] = []
    for name in FIELDS:
        one = [condition(draw, name) for _ in range(6)]
        filters += [*one, *(~each for each in one), one[0] & ~one[1], ~(one[2] | one[3])]
    numbers = Counter(len(wanted(index, where)) for where in filters)

    assert differences(index, filters) == []
    # Conditions that all, or none, accept would show little.
    assert sum(numbers[extreme] for extreme in (0, COUNT)) < len(filters) // 2


def test_the_highest_filters_are_answered(index: Index) -> None:
    where: Filter = field("f_strings_o").contains("a")
    for level in range(6):
        other = field("f_integer_o").is_in([0, 1, -(2**63), level])
        where = ~((where | other) & ~(field("f_string_o") > "b"))

    assert differences(index, [where, ~where]) == []


def test_missing_values_are_missing_to_other_stores_too(
    milvus_store: Store, milvus_uri: str
) -> None:
    name = f"n_{uuid.uuid4().hex}"
    made = milvus_store.create_index(
        name, dimension=2, fields={"x": "integer?", "x__missing": "boolean", "at": "timestamp?"}
    )
    rows: dict[str, list[Any]] = {"x": [None, 0], "x__missing": [False, True], "at": [None, None]}
    made.upsert(["a", "b"], [[1, 1], [2, 2]], rows)
    with vecbridge.get_backend("milvus", uri=milvus_uri) as other:
        opened = other.open_index(name, consistency="strong")
        assert opened.info.fields == made.info.fields
        assert opened.fetch(["a", "b"]).fields == rows
        assert opened.search([0, 1], 2, where=~(field("x") == 0))[0].ids == ("a",)
        assert opened.search([0, 1], 2, where=field("x") == 0)[0].ids == ("b",)
        assert opened.count(where=field("at").is_missing()) == 2


def test_a_collection_that_lost_a_column_of_missing_values_is_refused(
    milvus_server_uri: str,
) -> None:
    from pymilvus import DataType

    store, name = vecbridge.get_backend("milvus", uri=milvus_server_uri), f"g_{uuid.uuid4().hex}"
    assert isinstance(store.backend, MilvusBackend)
    client = store.backend.client
    said = '{"vecbridge": 2, "fields": {"x": "string?"}, "missing": {"x": "x__missing"}}'
    schema = client.create_schema(auto_id=False, description=said)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=512)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("vecbridge_norm", DataType.DOUBLE)
    schema.add_field("x", DataType.VARCHAR, max_length=9)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_name="vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    with store:
        with pytest.raises(SchemaMismatchError, match="no column 'x__missing' any more"):
            store.open_index(name)
        client.drop_collection(name)
