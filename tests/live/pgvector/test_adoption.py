"""Tables that another program made are opened, searched exactly and written, or refused."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.live.pgvector.conftest import Opener
from tests.oracle import oracle
from vecbridge import (
    CorruptStoreError,
    FieldType,
    InvalidArgumentError,
    InvalidIdError,
    SchemaMismatchError,
    UnsupportedError,
    field,
)

Raw = psycopg.Connection[Any]


def vectors(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def fiftyones(raw: Raw, schema: str, kind: str = "vector") -> tuple[list[str], Any]:
    """A table as FiftyOne's own adapter makes it."""
    data, ids = vectors(300), [f"s{row:03}" for row in range(300)]
    if kind == "halfvec":
        data = data.astype(np.float16).astype(np.float32)
    raw.execute(
        f'CREATE TABLE "{schema}"."fiftyone-quickstart" '
        f"(id TEXT PRIMARY KEY, sample_id TEXT, embedding_vector {kind}(4))"
    )
    with raw.cursor() as cursor:
        cursor.executemany(
            f'INSERT INTO "{schema}"."fiftyone-quickstart" VALUES (%s, %s, %s::{kind})',
            [(name, f"of {name}", str(row.tolist())) for name, row in zip(ids, data, strict=True)],
        )
    raw.execute(
        f'CREATE INDEX "fiftyone-index" ON "{schema}"."fiftyone-quickstart" '
        f"USING hnsw (embedding_vector {kind}_cosine_ops)"
    )
    raw.execute(f"INSERT INTO \"{schema}\".\"fiftyone-quickstart\" VALUES ('no vector', 'x', NULL)")
    return ids, data


@pytest.mark.parametrize("kind", ["vector", "halfvec"])
@pytest.mark.parametrize("index_type", ["none", "hnsw"])
def test_a_table_of_fiftyones_adapter_is_opened(
    raw: Raw, schema: str, opened: Opener, kind: str, index_type: str
) -> None:
    ids, data = fiftyones(raw, schema, kind)
    store = opened(table_names={"photos": "fiftyone-quickstart"}, index_type=index_type)
    assert store.index_names() == ["photos"]
    index = store.open_index("photos")
    assert (index.info.dimension, index.info.metric) == (4, "cosine")
    assert dict(index.info.fields) == {"sample_id": "string?"}
    assert index.count() == 300
    assert index.capabilities.exact == (index_type == "none" or kind == "halfvec")
    assert index.fetch(ids[:3]).vectors.tobytes() == data[:3].tobytes()
    assert list(index.fetch(ids[:1]).fields["sample_id"]) == ["of s000"]
    query = vectors(1, seed=1)[0]
    hits = index.search(query, k=20, ranking="certified")[0]
    assert (hits.ids, hits.distances.tolist()) == oracle("cosine", ids, data, query, 20)
    assert index.count(where=field("sample_id") < "of s010") == 10
    assert [len(page.ids) for page in index.scan(100, start="s010", stop="s020")] == [10]


def test_what_is_written_lands_beside_the_others(raw: Raw, schema: str, opened: Opener) -> None:
    ids, _ = fiftyones(raw, schema)
    index = opened(table_names={"photos": "fiftyone-quickstart"}).open_index("photos")
    index.upsert(["new", ids[0]], [[1, 2, 3, 4], [0, 0, 0, 1]], {"sample_id": ["of new", None]})
    index.delete([ids[1], "no vector"])
    assert index.count() == 300
    found = raw.execute(
        f'SELECT id, sample_id, embedding_vector::text FROM "{schema}"."fiftyone-quickstart" '
        f"WHERE id IN ('new', 'no vector', 's000', 's001') ORDER BY id COLLATE \"C\""
    ).fetchall()
    assert found == [
        ("new", "of new", "[1,2,3,4]"),
        # It is no record, so it was not there to be deleted.
        ("no vector", "x", None),
        ("s000", None, "[0,0,0,1]"),
    ]


def test_halves_are_read_and_never_written(raw: Raw, schema: str, opened: Opener) -> None:
    fiftyones(raw, schema, "halfvec")
    index = opened(table_names={"photos": "fiftyone-quickstart"}).open_index("photos")
    with pytest.raises(UnsupportedError, match="embedding_vector"):
        index.upsert(["new"], [[1, 2, 3, 4]], {"sample_id": ["x"]}, drop_unsupported=True)
    assert index.count() == 300


def test_every_type_of_column_is_a_field_or_said_to_be_none(
    raw: Raw, schema: str, opened: Opener
) -> None:
    columns = (
        'key varchar(8) COLLATE "C" UNIQUE NOT NULL, v vector(4) NOT NULL, a smallint NOT NULL,'
        "b integer, c real, d double precision, e varchar(3), f timestamptz, g text[], h jsonb,"
        'i boolean NOT NULL, j numeric NOT NULL DEFAULT 7, "odd name" text,'
        "k timestamptz(3), l timestamptz(0) NOT NULL DEFAULT now(), m timestamptz(6)"
    )
    raw.execute(f'CREATE TABLE "{schema}".t ({columns})')
    raw.execute(
        f"INSERT INTO \"{schema}\".t VALUES ('k', '[1,2,3,4]', 1, NULL, 0.1, 'NaN', 'abc', "
        f"'2020-01-01Z', '{{x,y}}', '{{}}', true, 8, 'o')"
    )
    with pytest.raises(SchemaMismatchError, match="setting metric"):
        opened().open_index("t")
    index = opened(metric="euclidean").open_index("t")
    assert dict(index.info.fields) == {
        "a": "integer",
        "b": "integer?",
        "c": "float?",
        "d": "float?",
        "e": "string?",
        "f": "timestamp?",
        "g": "strings?",
        "i": "boolean",
        "m": "timestamp?",
    }
    assert dict(index.info.unsupported) == {
        "h": "jsonb",
        "j": "numeric",
        "odd name": "text",
        "k": "timestamptz(3), which would round",
        "l": "timestamptz(0), which would round",
    }
    assert index.info.max_id_bytes == 8
    assert index.capabilities.partitions
    # NaN equals itself and is the greatest to PostgreSQL, and neither to the contract.
    assert index.count(where=field("d") > 1e300) == 0
    assert index.count(where=field("c") == 0.1) == 0
    assert index.count(where=field("g").contains("y")) == 1
    row: dict[str, Any] = {"a": [2], "b": [3], "c": [0.5], "d": [1.0], "e": ["x"], "g": [[]]}
    row |= {"f": [None], "i": [False], "m": [datetime(2020, 1, 1, 0, 0, 0, 123456, timezone.utc)]}
    with pytest.raises(InvalidArgumentError, match="'a'"):
        index.upsert(["x"], [[0, 0, 0, 0]], {**row, "a": [2**15]}, drop_unsupported=True)
    with pytest.raises(InvalidIdError):
        index.upsert(["longer than 8"], [[0, 0, 0, 0]], row, drop_unsupported=True)
    with pytest.raises(UnsupportedError, match="jsonb"):
        index.upsert(["k"], [[0, 0, 0, 0]], row)
    index.upsert(["k"], [[0, 0, 0, 0]], row, drop_unsupported=True)
    assert list(index.fetch(["k"]).fields["m"]) == row["m"]
    found = raw.execute(f'SELECT a, c, h, j, "odd name" FROM "{schema}".t').fetchall()
    assert found == [(2, 0.5, None, 7, None)]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("id int PRIMARY KEY, v vector(3)", "setting id_column"),
        ("id text, v vector(3)", "setting id_column"),
        ("key int PRIMARY KEY, id text UNIQUE, v vector(3)", "ids are text.*'key'.*int4"),
        ("id text PRIMARY KEY, v vector(3), w vector(3)", "setting vector_column"),
    ],
)
def test_a_table_that_is_laid_out_otherwise_is_refused(
    raw: Raw, schema: str, opened: Opener, columns: str, told: str
) -> None:
    raw.execute(f'CREATE TABLE "{schema}".t ({columns})')
    given = {"id_column": "key"} if columns.startswith("key") else {}
    with pytest.raises(SchemaMismatchError, match=told):
        opened(metric="cosine", **given).open_index("t")


def test_an_index_of_an_operator_class_of_another_name_says_nothing_of_the_metric(
    raw: Raw, schema: str, opened: Opener
) -> None:
    raw.execute(f'CREATE TABLE "{schema}".t (id text PRIMARY KEY, v vector(2))')
    operators = ", ".join(
        f"OPERATOR {number} {word}" for number, word in enumerate(("<", "<=", "=", ">=", ">"), 1)
    )
    raw.execute(
        f'CREATE OPERATOR CLASS "{schema}".plain FOR TYPE vector USING btree AS {operators}, '
        f"FUNCTION 1 vector_cmp(vector, vector)"
    )
    raw.execute(f'CREATE INDEX ON "{schema}".t (v "{schema}".plain)')
    with pytest.raises(SchemaMismatchError, match="setting metric"):
        opened().open_index("t")


def test_a_table_without_vectors_is_no_index(raw: Raw, schema: str, opened: Opener) -> None:
    raw.execute(f'CREATE TABLE "{schema}".t (id text PRIMARY KEY)')
    assert opened().index_names() == []


def test_rows_without_an_id_are_no_records(raw: Raw, schema: str, opened: Opener) -> None:
    raw.execute(f'CREATE TABLE "{schema}".t (id text UNIQUE, v vector(2))')
    raw.execute(f"INSERT INTO \"{schema}\".t VALUES (NULL, '[1,2]'), ('a', '[1,3]'), ('b', NULL)")
    index = opened(metric="euclidean").open_index("t")
    assert index.count() == 1
    assert index.search([1, 2], k=3)[0].ids == ("a",)
    assert [name for page in index.scan() for name in page.ids] == ["a"]


@pytest.mark.parametrize(
    "moment", ["0044-03-15 00:00:00+00 BC", "20000-01-01Z", "infinity", "-infinity"]
)
def test_a_time_that_is_none_of_the_contract_is_named_and_never_counted(
    raw: Raw, schema: str, opened: Opener, moment: str
) -> None:
    raw.execute(f'CREATE TABLE "{schema}".t (id text PRIMARY KEY, v vector(2), at timestamptz)')
    first, last = (
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.max.replace(tzinfo=timezone.utc),
    )
    rows = [("a", first), ("b", last), ("c", None), ("odd", moment)]
    with raw.cursor() as cursor:
        cursor.executemany(f"INSERT INTO \"{schema}\".t VALUES (%s, '[1,2]', %s)", rows)
    index = opened(metric="euclidean").open_index("t")
    told = "'at' of record 'odd'"
    with pytest.raises(CorruptStoreError, match=told):
        index.fetch(["a", "odd"])
    assert index.fetch(["a", "b", "c"]).fields["at"] == [first, last, None]
    assert index.search([1, 2], k=9)[0].ids == ("a", "b", "c", "odd")
    for where in (field("at") <= last, field("at") >= first, field("at") > first):
        with pytest.raises(CorruptStoreError, match=told):
            index.count(where=where)
        with pytest.raises(CorruptStoreError, match=told):
            index.search([1, 2], k=9, where=where)
    raw.execute(f"UPDATE \"{schema}\".t SET at = NULL WHERE id = 'odd'")
    assert index.count(where=field("at") <= last) == 2


def test_no_program_leaves_such_a_time_in_a_table_of_ours(
    raw: Raw, schema: str, opened: Opener
) -> None:
    fields: dict[str, FieldType] = {"at": "timestamp?"}
    index = opened().create_index("t", dimension=2, metric="cosine", fields=fields)
    last = datetime.max.replace(tzinfo=timezone.utc)
    index.upsert(["a", "b"], [[1, 2], [1, 3]], {"at": [last, None]})
    with pytest.raises(psycopg.errors.CheckViolation):
        raw.execute(f"UPDATE \"{schema}\".t SET at = 'infinity'")
    assert index.count(where=field("at") <= last) == 1
