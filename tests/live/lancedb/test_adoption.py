"""Tables that another program made are opened, searched exactly and written, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lancedb.index import BTree, IvfFlat, IvfRq

from tests.live.lancedb.conftest import Opener
from tests.oracle import oracle
from vecbridge import InvalidArgumentError, SchemaMismatchError, UnsupportedError, field

ONE = pa.array([[1.0]], pa.list_(pa.float32(), 1))


def vectors(count: int, seed: int = 0) -> Any:
    found = np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)
    found[::50] = 0.0
    return found


def fiftyones(ids: list[str], data: Any) -> pa.Table:
    """Records as FiftyOne's own adapter writes them."""
    flat = pa.FixedSizeListArray.from_arrays(pa.array(data.reshape(-1)), data.shape[1])
    samples = [f"of {name}" for name in ids]
    return pa.Table.from_arrays([ids, samples, flat], names=["id", "sample_id", "vector"])


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
def test_a_table_of_fiftyones_adapter_is_searched_exactly_and_written(
    raw: Any, opened: Opener, metric: Any
) -> None:
    ids, data = [f"s{row:03}" for row in range(300)], vectors(300)
    raw.create_table("fiftyone-quickstart", fiftyones(ids, data))
    store = opened(table_names={"photos": "fiftyone-quickstart"}, metric=metric)
    assert store.index_names() == ["photos"]
    index = store.open_index("photos")
    assert (index.info.dimension, index.info.metric) == (4, metric)
    assert dict(index.info.fields) == {"sample_id": "string?"}
    index.upsert(["s007", "new"], [[1, 2, 3, 4], [0, 0, 0, 0]], {"sample_id": ["x", None]})
    index.delete(["s008"])
    data[7], ids[8], data[8] = [1, 2, 3, 4], "new", 0.0
    for query in [data[3], np.zeros(4, np.float32)]:
        (hits,) = index.search(query, k=40, fields=True)
        assert hits.exact
        assert (hits.ids, hits.distances.tolist()) == oracle(metric, ids, data, query, 40)
    assert index.count(where=field("sample_id").is_missing()) == 1
    assert raw.open_table("fiftyone-quickstart").count_rows("sample_id = 'x'") == 1


@pytest.mark.parametrize(("metric", "theirs"), [("cosine", "cosine"), ("euclidean", "l2")])
def test_a_table_that_fiftyones_adapter_indexed_is_searched_exactly(
    raw: Any, opened: Opener, metric: Any, theirs: Any
) -> None:
    ids = [f"s{row:04}" for row in range(2048)]
    data = np.random.default_rng(2).standard_normal((2048, 64)).astype(np.float32)
    table = raw.create_table("fiftyone-quickstart", fiftyones(ids, data))
    # What fiftyone-brain 0.27 makes from this size on, under these names.
    table.create_index("id", config=BTree())
    table.create_index("vector", config=IvfRq(distance_type=theirs), name="vector_idx")
    index = opened(table_names={"t": "fiftyone-quickstart"}).open_index("t")
    assert index.info.metric == metric
    index.upsert(["s0007"], [data[9]], {"sample_id": ["x"]})
    data[7] = data[9]
    for query in np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32):
        (hits,) = index.search(query, k=10)
        assert hits.exact
        assert (hits.ids, hits.distances.tolist()) == oracle(metric, ids, data, query, 10)
    assert [each.name for each in table.list_indices()] == ["id_idx", "vector_idx"]


def test_an_index_of_another_program_is_used_where_it_is_asked_for(
    raw: Any, opened: Opener
) -> None:
    data = np.random.default_rng(1).standard_normal((600, 4)).astype(np.float32)
    table = raw.create_table("t", fiftyones([f"s{row:03}" for row in range(600)], data))
    table.create_index("vector", config=IvfFlat(distance_type="l2"), name="theirs")
    # It says what the metric is.
    assert opened().open_index("t").search(data[0], k=3)[0].exact
    index = opened(index_type="ivf_flat", min_index_rows=256).open_index("t")
    assert index.info.metric == "euclidean"
    (hits,) = index.search(data[0], k=3)
    assert not hits.exact
    assert hits.ids[0] == "s000"
    assert [each.name for each in table.list_indices()] == ["theirs"]


def test_the_table_of_the_quickstart_is_an_index_by_a_column_that_is_named(
    raw: Any, opened: Opener
) -> None:
    rows = [
        {"vector": [3.1, 4.1], "item": "foo", "price": 10.0, "extra": {"a": 1}},
        {"vector": [5.9, 26.5], "item": "bar", "price": 20.0, "extra": {"a": 2}},
    ]
    raw.create_table("my_table", rows)
    with pytest.raises(SchemaMismatchError, match="id_column"):
        opened(metric="euclidean").open_index("my_table")
    with pytest.raises(SchemaMismatchError, match="setting metric"):
        opened(id_column="item").open_index("my_table")
    index = opened(metric="euclidean", id_column="item").open_index("my_table")
    assert index.search([3, 4], k=1, where=field("price") < 15)[0].ids == ("foo",)
    assert set(index.info.unsupported) == {"extra"}
    with pytest.raises(UnsupportedError, match="extra"):
        index.upsert(["foo"], [[1, 1]], {"price": [1.0]})
    index.upsert(["foo"], [[1, 1]], {"price": [1.0]}, drop_unsupported=True)
    assert index.fetch(["foo"]).fields["price"] == [1.0]


def test_narrow_columns_refuse_what_they_do_not_hold(raw: Any, opened: Opener) -> None:
    table = fiftyones(["a", "b"], np.eye(2, dtype=np.float32))
    table = table.append_column("n", pa.array([1, None], pa.int8()))
    table = table.append_column("w", pa.array([0.5, np.nan], pa.float32()))
    raw.create_table("t", table.append_column("tags", pa.array([["x"], []])))
    index = opened(metric="cosine").open_index("t")
    assert index.count(where=(field("n") < 200) & field("tags").contains("x")) == 1
    assert index.count(where=field("w") != 0.5) == 1
    row: dict[str, Any] = {"sample_id": ["s"], "w": [0.5], "tags": [["y"]]}
    with pytest.raises(InvalidArgumentError, match="n"):
        index.upsert(["c"], [[1, 1]], {**row, "n": [200]})
    index.upsert(["c"], [[1, 1]], {**row, "n": [-128]})
    assert index.fetch(["c"]).fields["n"] == [-128]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (fiftyones(["a", "b", "a"], np.eye(3, dtype=np.float32)), "1 rows whose id another row"),
        (pa.table({"id": [1], "vector": ONE}), "strings"),
        (pa.table({"id": ["a"], "vector": pa.array([[1.0]], pa.list_(pa.float64(), 1))}), "has 0"),
        (pa.table({"id": ["a"], "v": ONE, "w": ONE}), "name one"),
    ],
)
def test_what_is_no_index_is_refused_by_its_reason(
    raw: Any, opened: Opener, table: pa.Table, reason: str
) -> None:
    raw.create_table("t", table)
    with pytest.raises(SchemaMismatchError, match=reason):
        opened(metric="cosine").open_index("t")


def test_an_index_that_was_made_under_another_name_is_the_one_of_its_table(opened: Opener) -> None:
    names = {"photos": "shots"}
    opened(table_names=names).create_index("photos", dimension=2, metric="cosine")
    index = opened().open_index("shots")
    index.upsert(["a"], [[1, 1]])
    assert index.info.name == "shots"
    assert opened(table_names=names).open_index("photos").count() == 1
    assert opened(table_names=names).index_names() == ["photos"]
