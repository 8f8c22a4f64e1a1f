"""Python objects in tables: a value is kept as it is or refused, whatever stands beside it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecbridge
from vecbridge import Index, InvalidArgumentError, InvalidInputError, Store
from vecbridge.transfer import import_records

UTC = dt.timezone.utc
AWARE = dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))
NAIVE = AWARE.replace(tzinfo=None)
FAR = 1500
"""Records apart: more than are converted at a time."""


def records(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"id": f"r{row}", "vector": [1.0], "c": value} for row, value in enumerate(values)]


def frame(values: Sequence[Any]) -> Any:
    made = pd.DataFrame({"id": [f"r{row}" for row in range(len(values))]})
    made["vector"] = [[1.0]] * len(values)
    made["c"] = pd.Series(list(values), dtype=object)
    return made


TABLES: dict[str, Callable[[Sequence[Any]], Any]] = {"records": records, "pandas": frame}
ORDERS = ["as given", "turned around", "far apart"]


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> Callable[[Sequence[Any]], Any]:
    return TABLES[request.param]


@pytest.fixture
def store() -> Store:
    return vecbridge.get_backend("sklearn")


def index_of(kind: str) -> Index:
    store = vecbridge.get_backend("sklearn")
    return store.create_index("x", dimension=1, metric="euclidean", fields={"c": kind})  # type: ignore[dict-item]


def ordered(values: Sequence[Any], order: str) -> list[Any]:
    if order == "far apart":
        return [values[0]] * FAR + [*values[1:]]
    return [*values][:: -1 if order == "turned around" else 1]


def held(index: Index, count: int) -> list[Any]:
    return [*index.fetch([f"r{row}" for row in range(count)]).fields["c"]]


@pytest.mark.parametrize("order", ORDERS)
def test_a_time_without_a_zone_among_others_is_refused(order: str, table: Any) -> None:
    index = index_of("timestamp")

    with pytest.raises(InvalidArgumentError, match="name no time zone"):
        index.upsert_table(table(ordered([AWARE, NAIVE], order)))

    assert index.count() == 0


@pytest.mark.parametrize("order", ORDERS)
def test_a_zone_is_of_the_times_that_name_none(order: str, table: Any) -> None:
    index, values = index_of("timestamp"), ordered([AWARE, NAIVE], order)

    index.upsert_table(table(values), timezone="Asia/Tokyo")

    tokyo = dt.timezone(dt.timedelta(hours=9))
    wanted = [each if each.tzinfo else each.replace(tzinfo=tokyo) for each in values]
    assert held(index, len(values)) == wanted


@pytest.mark.parametrize("order", ORDERS)
def test_a_time_beside_a_date_keeps_its_hours(order: str, table: Any) -> None:
    time = dt.datetime(2024, 5, 5, 15, 30, tzinfo=UTC)
    index, values = index_of("timestamp"), ordered([dt.date(2024, 1, 1), time], order)

    index.upsert_table(table(values))

    midnight = dt.datetime(2024, 1, 1, tzinfo=UTC)
    assert held(index, len(values)) == [
        each if isinstance(each, dt.datetime) else midnight for each in values
    ]


def test_nanoseconds_are_refused(table: Any) -> None:
    index = index_of("timestamp")

    with pytest.raises(InvalidArgumentError, match="it has nanoseconds"):
        index.upsert_table(table([pd.Timestamp("2024-01-01T00:00:00.000000999", tz="UTC")]))


@pytest.mark.parametrize("order", ORDERS)
def test_a_half_beside_an_integer_keeps_its_fraction(order: str, table: Any) -> None:
    values = ordered([np.float16(0.7), 5], order)
    floats = index_of("float")
    floats.upsert_table(table(values))

    assert held(floats, len(values)) == [float(each) for each in values]
    with pytest.raises(InvalidArgumentError, match="cannot be of type integer"):
        index_of("integer").upsert_table(table(values))


def test_a_half_beside_an_integer_in_a_vector_keeps_its_fraction(store: Store) -> None:
    index = store.create_index("x", dimension=2, metric="euclidean")

    index.upsert_table([{"id": "a", "vector": [np.float16(0.7), 5]}])

    assert index.fetch(["a"]).vectors.tolist() == [[float(np.float16(0.7)), 5.0]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kind", "values"),
    [("float", [0.5, True]), ("integer", [np.bool_(True), 1]), ("boolean", [True, 1])],
)
def test_a_boolean_is_no_number(kind: str, values: list[Any], order: str, table: Any) -> None:
    index = index_of(kind)

    with pytest.raises(InvalidArgumentError, match="cannot be of type"):
        index.upsert_table(table(ordered(values, order)))

    assert index.count() == 0


@pytest.mark.parametrize("vector", [[0.5, True], [True, 1], np.array([True, False])])
def test_a_boolean_is_no_number_of_a_vector(vector: Any, store: Store) -> None:
    index = store.create_index("x", dimension=2, metric="euclidean")

    with pytest.raises(InvalidInputError, match="bool"):
        index.upsert_table([{"id": "a", "vector": [0.5, 1.0]}, {"id": "b", "vector": vector}])

    assert index.count() == 0


def lines(folder: Path, values: Sequence[Any]) -> Path:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in records(values)))
    return path


@pytest.mark.parametrize("bad", ["x", True, {"a": 1}, [1, "x"], 2**70, "\ud800"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_value_of_another_kind_is_a_bad_row(
    bad: Any, order: str, tmp_path: Path, store: Store
) -> None:
    values = ordered([1, bad], order)
    path, at = lines(tmp_path, values), 0 if order == "turned around" else len(values) - 1
    index = store.create_index("x", dimension=1, metric="euclidean", fields={"c": "integer"})

    with pytest.raises(InvalidArgumentError, match=rf"row {at} .*id 'r{at}'"):
        index.upsert_table(records(values))
    assert index.count() == 0
    done = import_records(path, store, "x", on_error="skip", rejects=tmp_path / "out.jsonl")
    assert (done.written, done.left_out) == (len(values) - 1, 1)
    assert f'"row": {at}' in (tmp_path / "out.jsonl").read_text()


def test_a_column_of_several_kinds_is_skipped_or_told_its_type(
    tmp_path: Path, store: Store
) -> None:
    path = lines(tmp_path, [1, "x", 3])

    with pytest.raises(InvalidArgumentError, match="int64 in row 0 and string in row 1"):
        import_records(path, store, "none", metric="euclidean")
    assert import_records(path, store, "a", metric="euclidean", skip=["c"]).written == 3
    import_records(path, store, "b", metric="euclidean", types={"c": "string"})
    assert held(store.open_index("b"), 3) == ["1", "x", "3"]


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, np.datetime64("NaT")])
def test_what_pandas_has_for_a_missing_value_is_missing(missing: Any, table: Any) -> None:
    index = index_of("integer?")

    index.upsert_table(table([missing, 1]))

    assert held(index, 2) == [None, 1]


def test_a_key_twice_in_a_line_is_refused(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(
        '{"id": "a", "vector": [1], "n": 1, "n": 2}\n{"id": "b", "vector": [1], "n": 1}'
    )

    with pytest.raises(InvalidArgumentError, match="line 1 has the key 'n' twice"):
        import_records(path, store, "x", metric="euclidean")


def test_a_file_without_a_readable_line_says_so(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("hello\nthere\n")

    with pytest.raises(InvalidArgumentError, match="line 1 is not JSON"):
        import_records(path, store, "x", metric="euclidean")


def test_of_an_index_that_is_there_no_other_type_is_advised() -> None:
    with pytest.raises(InvalidArgumentError, match="as the index has field 'c'") as caught:
        index_of("integer").upsert_table(records(["x", "y"]))

    assert "--type" not in str(caught.value)


def test_one_short_vector_does_not_say_how_long_the_others_are(
    tmp_path: Path, store: Store
) -> None:
    rows = records([1] * 100)
    for row in rows[1:]:
        row["vector"] = [1.0, 2.0]

    done = import_records(
        rows, store, "x", metric="euclidean", on_error="skip", rejects=tmp_path / "out.jsonl"
    )

    assert (done.written, done.left_out, done.dimension) == (99, 1, 2)


@pytest.mark.parametrize("empty", [[], iter([]), pd.DataFrame(), frame([])])
def test_an_empty_table_changes_nothing(empty: Any) -> None:
    index = index_of("integer")

    assert index.upsert_table(empty).written == 0
    assert index.count() == 0


def test_an_empty_file_of_lines_is_taken_again(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file.jsonl").write_text("")
    store.create_index("x", dimension=1, metric="euclidean")

    assert import_records(tmp_path / "file.jsonl", store, "x").written == 0


def test_mappings_beside_other_values_are_not_flattened() -> None:
    with pytest.raises(InvalidArgumentError, match="'c' holds mappings and other values"):
        index_of("integer").upsert_table(records([{"a": 1}, 5]), flatten=True, skip=["c"])


def test_a_value_that_has_no_form_in_arrow_is_not_missing() -> None:
    wide = Decimal(10**80)

    with pytest.raises(InvalidArgumentError, match="a value of type Decimal"):
        index_of("string?").upsert_table(records(["x", wide]))
