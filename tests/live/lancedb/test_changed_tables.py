"""Tables that another program changes, drops or makes again while an index is open on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tests.live.lancedb.conftest import Opener
from vecbridge import FieldType, Index, IndexNotFoundError, SchemaMismatchError, UnsupportedError


def one_record(opened: Opener) -> Index:
    index = opened().create_index("t", dimension=2, metric="cosine", fields={"label": "string?"})
    index.upsert(["a"], [[1, 1]], {"label": ["x"]})
    return index


def test_a_column_that_another_program_added_is_not_erased(raw: Any, opened: Opener) -> None:
    index = one_record(opened)
    raw.open_table("t").add_columns(pa.schema([("price", pa.float64())]))
    raw.open_table("t").update(values={"price": 9.5})
    writes: list[Callable[[Index], object]] = [
        lambda index: index.upsert(["a"], [[2, 2]], {"label": ["y"]}),
        lambda index: index.update_fields(["a"], {"label": ["y"]}),
    ]
    for write in writes:
        with pytest.raises(SchemaMismatchError, match=r"'price'.*open it again"):
            write(index)
        with pytest.raises(UnsupportedError, match="price"):
            write(opened().open_index("t"))
    (row,) = raw.open_table("t").to_arrow().to_pylist()
    assert (row["price"], row["label"]) == (9.5, "x")
    assert index.search([1, 1], k=1)[0].exact
    again = opened().open_index("t")
    again.upsert(["a"], [[2, 2]], {"label": ["y"]}, drop_unsupported=True)
    assert again.fetch(["a"]).fields["label"] == ["y"]


def test_a_column_without_nulls_takes_no_record(raw: Any, opened: Opener) -> None:
    one_record(opened)
    raw.open_table("t").add_columns({"price": "cast(1.0 as double)"})
    index = opened().open_index("t")
    with pytest.raises(UnsupportedError, match="price"):
        index.upsert(["b"], [[2, 2]], {"label": ["y"]}, drop_unsupported=True)
    index.delete(["a"])
    assert index.count() == 0


@pytest.mark.parametrize("column", ["label", "norm"])
def test_a_column_that_is_gone_is_named(raw: Any, opened: Opener, column: str) -> None:
    index = one_record(opened)
    raw.open_table("t").alter_columns({"path": column, "rename": "renamed"})
    for use in (index.count, lambda: opened().open_index("t")):
        with pytest.raises(SchemaMismatchError, match=f"no column '{column}'"):
            use()
    raw.open_table("t").alter_columns({"path": "renamed", "rename": column})
    assert index.fetch(["a"]).fields["label"] == ["x"]


@pytest.mark.parametrize(("dimension", "metric"), [(2, "euclidean"), (3, "cosine"), (2, "cosine")])
def test_an_index_that_was_made_again_is_not_the_one_that_is_open(
    opened: Opener, dimension: int, metric: Any
) -> None:
    index, other = one_record(opened), opened()
    other.drop_index("t")
    fields: dict[str, FieldType] = {"label": "string?"}
    made = other.create_index("t", dimension=dimension, metric=metric, fields=fields)
    made.upsert(["b"], [[1.0] * dimension], {"label": ["y"]})
    for use in (
        index.count,
        lambda: index.search([1, 1], k=1),
        lambda: index.upsert(["a"], [[1, 1]], {"label": ["x"]}),
        lambda: index.delete(["b"]),
        lambda: index.fetch(["b"]),
        lambda: list(index.scan()),
    ):
        with pytest.raises(IndexNotFoundError, match="was dropped after it was opened"):
            use()
    assert made.fetch(["b"]).ids == opened().open_index("t").fetch(["b"]).ids == ("b",)


def test_a_table_of_another_program_that_was_made_again_is_not_the_one_that_is_open(
    raw: Any, opened: Opener
) -> None:
    rows = [{"id": "a", "vector": [1.0, 1.0]}]
    raw.create_table("t", rows)
    index = opened(metric="cosine").open_index("t")
    raw.drop_table("t")
    raw.create_table("t", [{"id": "a", "vector": [1.0, 1.0, 1.0]}])
    with pytest.raises(IndexNotFoundError, match="was dropped after it was opened"):
        index.search([1, 1], k=1)
