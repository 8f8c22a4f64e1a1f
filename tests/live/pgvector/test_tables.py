"""How indexes are kept in tables: names, plans and what others build over them."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.live.pgvector.conftest import Opener
from tests.oracle import oracle
from vecbridge import (
    ConfigurationError,
    CorruptStoreError,
    FieldType,
    IndexNotFoundError,
    InvalidArgumentError,
    SchemaMismatchError,
    Store,
    field,
)

NAMES = ["select", "user", "Photos", "photos", "a" * 63, "a" * 64, "a" * 255, "_"]
FIELDS: dict[str, FieldType] = {
    "id": "string",
    "embedding": "integer",
    "norm": "float",
    "select": "boolean",
    "x" * 255: "strings?",
    "ctid": "timestamp?",
    "xmin": "integer",
    "xmax": "integer",
    "cmin": "integer",
    "cmax": "integer",
    "tableoid": "integer",
}


def vectors(count: int, dimension: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def test_any_name_of_the_contract_is_the_name_of_a_table(opened: Opener) -> None:
    store = opened()
    for number, name in enumerate(NAMES):
        index = store.create_index(name, dimension=2, metric="cosine")
        index.upsert([f"in {number}"], [[1, number]])
    assert store.index_names() == sorted(NAMES)
    again = opened()
    for number, name in enumerate(NAMES):
        assert again.open_index(name).contains([f"in {number}"]).all()
        again.drop_index(name)
    assert store.index_names() == []


def test_any_name_of_the_contract_is_the_name_of_a_column(opened: Opener) -> None:
    index = opened().create_index("t", dimension=2, metric="cosine", fields=FIELDS)
    values: dict[str, Any] = {
        "id": ["x"],
        "embedding": [-(2**63)],
        "norm": [-0.0],
        "select": [True],
        "x" * 255: [["a", ""]],
        "ctid": [None],
        **{name: [7] for name in ("xmin", "xmax", "cmin", "cmax", "tableoid")},
    }
    index.upsert(["r"], [[1, 2]], values)
    found = index.fetch(["r"])
    assert {name: list(column) for name, column in found.fields.items()} == values
    assert index.count(where=(field("id") == "x") & (field("norm") == 0)) == 1
    assert index.count(where=(field("xmin") == 7) & (field("tableoid") == 7)) == 1


def test_an_index_is_kept_in_the_table_that_the_settings_name(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    store = opened(table_names={"photos": "my-table"})
    store.create_index("photos", dimension=2, metric="cosine").upsert(["a"], [[1, 2]])
    assert raw.execute(f'SELECT id FROM "{schema}"."my-table"').fetchall() == [("a",)]
    assert store.index_names() == ["photos"]
    assert store.open_index("photos").count() == 1


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_an_exact_search_goes_by_no_index_that_somebody_built(
    raw: psycopg.Connection[Any], schema: str, opened: Opener, metric: Any
) -> None:
    index = opened().create_index("t", dimension=8, metric=metric)
    data, ids = vectors(3000), [f"id{row:04}" for row in range(3000)]
    index.upsert(ids, data)
    operators = {"cosine": "cosine", "dotproduct": "ip", "euclidean": "l2"}[metric]
    raw.execute(
        f'CREATE INDEX ON "{schema}"."t" USING hnsw (embedding vector_{operators}_ops) '
        f"WITH (m = 2, ef_construction = 4)"
    )
    raw.execute(f'ANALYZE "{schema}"."t"')
    for query in vectors(10, seed=1):
        hits = index.search(query, k=50)[0]
        assert hits.exact
        assert (hits.ids, hits.distances.tolist()) == oracle(metric, ids, data, query, 50)


def test_a_comment_that_is_torn_is_no_index_and_not_taken_for_none(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    store = opened()
    store.create_index("t", dimension=2, metric="cosine")
    raw.execute(f'COMMENT ON TABLE "{schema}"."t" IS \'{{"vecbridge":1,"name":\'')
    with pytest.raises(CorruptStoreError):
        store.open_index("t")


def test_dimensions_are_what_pgvector_takes(opened: Opener) -> None:
    exact, graph = opened(), opened(index_type="hnsw")
    with pytest.raises(InvalidArgumentError, match="16000"):
        exact.create_index("t", dimension=16_001, metric="cosine")
    with pytest.raises(InvalidArgumentError, match="2000"):
        graph.create_index("t", dimension=2_001, metric="cosine")
    index = exact.create_index("t", dimension=16_000, metric="cosine")
    data = vectors(3, 16_000)
    index.upsert(["a", "b", "c"], data)
    assert index.fetch(["b"]).vectors.tobytes() == data[1].tobytes()
    assert index.search(data[2], k=1)[0].ids == ("c",)


@pytest.mark.parametrize("kind", ["hnsw", "ivfflat"])
def test_an_approximate_index_is_built_when_it_is_of_use_and_meets_its_recall(
    raw: psycopg.Connection[Any], schema: str, opened: Opener, kind: Any
) -> None:
    index = opened(index_type=kind, recall=0.9).create_index("t", dimension=16, metric="cosine")
    methods = f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}'"
    data, ids = vectors(3000, 16), [f"id{row:04}" for row in range(3000)]
    index.upsert(ids, data)
    assert not any(kind in row[0] for row in raw.execute(methods))
    queries = vectors(40, 16, seed=1)
    found = index.search(queries, k=10)
    assert sum(kind in row[0] for row in raw.execute(methods)) == 1
    assert not index.capabilities.exact
    shares = [
        len({*hits.ids} & {*oracle("cosine", ids, data, query, 10)[0]}) / 10
        for hits, query in zip(found, queries, strict=True)
    ]
    assert np.mean(shares) >= 0.9
    assert len(index.search(queries[0], k=10, within=ids[:7])[0]) == 7
    exact = opened().open_index("t")
    assert exact.search(queries[0], k=10)[0].exact


def test_halfvec_is_refused_because_it_rounds(pgvector_uri: str) -> None:
    import vecbridge

    with pytest.raises(ConfigurationError, match="vector_type"):
        vecbridge.get_backend("pgvector", uri=pgvector_uri, vector_type="halfvec")


def test_a_record_that_is_there_is_replaced_among_many_new_ones(opened: Opener) -> None:
    index = opened().create_index("t", dimension=8, metric="cosine")
    ids, data = [f"id{row:04}" for row in range(1000)], vectors(1000)
    index.upsert([ids[7]], vectors(1, seed=1))
    index.upsert(ids[::-1], data[::-1])
    assert index.count() == 1000
    assert index.fetch(ids).vectors.tobytes() == data.tobytes()


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
@pytest.mark.parametrize("changed", ["[3e38,3e38]", "[1e-30,1e-30]", "[0,0]"])
def test_a_search_is_exact_after_another_program_changed_a_vector(
    raw: psycopg.Connection[Any], schema: str, opened: Opener, metric: Any, changed: str
) -> None:
    index = opened().create_index("t", dimension=2, metric=metric)
    data, ids = vectors(200, 2), [f"id{row:03}" for row in range(200)]
    index.upsert(ids, data)
    raw.execute(f"UPDATE \"{schema}\".t SET embedding = %s WHERE id = 'id007'", [changed])
    data[7] = json.loads(changed)
    for query in np.array([[1.0, 1.0], [2e38, 2e38], [1e-30, 2e-30]], np.float32):
        hits = index.search(query, k=5)[0]
        assert hits.exact
        assert (hits.ids, hits.distances.tolist()) == oracle(metric, ids, data, query, 5), query


def test_a_table_whose_norms_the_server_does_not_compute_is_refused(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    store = opened()
    store.create_index("t", dimension=2, metric="cosine").upsert(["a"], [[3, 4]])
    raw.execute(f'ALTER TABLE "{schema}".t ALTER COLUMN norm DROP EXPRESSION')
    with pytest.raises(SchemaMismatchError, match="ALTER TABLE") as caught:
        store.open_index("t")
    raw.execute(str(caught.value).partition("Run: ")[2])
    assert store.open_index("t").search([3, 4], k=1)[0].ids == ("a",)


def test_of_two_that_drop_an_index_at_once_one_finds_none(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    opened().create_index("t", dimension=2, metric="cosine")
    ends: list[str] = []

    def drop(store: Store) -> None:
        try:
            store.drop_index("t")
            ends.append("dropped")
        except Exception as error:  # noqa: BLE001 - of a thread
            ends.append(type(error).__name__)

    stores = [opened(), opened()]
    threads = [threading.Thread(target=drop, args=(store,)) for store in stores]
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    with raw.transaction():
        raw.execute(f'LOCK TABLE "{schema}".t IN ACCESS SHARE MODE')
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30.0
        while raw.execute(waiting).fetchall()[0][0] < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    for thread in threads:
        thread.join(60)
    assert sorted(ends) == [IndexNotFoundError.__name__, "dropped"]
