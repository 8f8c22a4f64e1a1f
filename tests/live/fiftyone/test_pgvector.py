"""FiftyOne's own parameters of ``pgvector``: taken over, kept where they are facts of an index."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psycopg
import pytest
from psycopg import sql

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run, ranked
from tests.live.fiftyone.test_secrets import dump
from vecbridge import ConfigurationError, InvalidArgumentError, UnknownSettingError

PREFIX = "FIFTYONE_BRAIN_SIMILARITY_PGVECTOR_"
SECRET = "Pl4nted-pg-s3cret"
THEIRS = "fiftyone.brain.internal.core.pgvector.PgVectorSimilarityConfig"
LOADED = """
import fiftyone as fo
name, key, address = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key, connection_string=address)
answer = [index.config.table_name, index.total_index_size]
"""
_numbers = itertools.count()


@pytest.fixture
def config(fob: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class, with nothing configured elsewhere."""
    from vecbridge.fiftyone import similarity

    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))
    return similarity.PgvectorSimilarityConfig


@pytest.fixture
def role(pgvector_uri: str) -> str:
    """The address of the server for a role with the planted password."""
    name = f"role_{next(_numbers)}"
    with psycopg.connect(pgvector_uri, autocommit=True) as client:
        client.execute("CREATE EXTENSION IF NOT EXISTS vector")
        create = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
        client.execute(create.format(sql.Identifier(name), sql.Literal(SECRET)))
    scheme, _, rest = pgvector_uri.partition("://")
    return f"{scheme}://{name}:{SECRET}@{rest.partition('@')[2]}"


def table_of_theirs(
    address: str, digits: Digits, kind: Literal["vector", "halfvec"] = "vector"
) -> str:
    """A table as FiftyOne's adapter makes it, with the digits' vectors in it."""
    name = f"fiftyone-digits-{next(_numbers)}"
    table = sql.Identifier(name)
    with psycopg.connect(address, autocommit=True) as client:
        client.execute("CREATE EXTENSION IF NOT EXISTS vector")
        create = sql.SQL(
            "CREATE TABLE {} (id TEXT PRIMARY KEY, sample_id TEXT, embedding_vector {}(64))"
        )
        client.execute(create.format(table, sql.SQL(kind)))
        rows = [
            (each, each, str(vector.tolist()))
            for each, vector in zip(digits.ids, digits.vectors, strict=True)
        ]
        with client.cursor() as cursor:
            cursor.executemany(sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(table), rows)
        index = sql.SQL("CREATE INDEX ON {} USING hnsw (embedding_vector {}) WITH (m = 16)")
        client.execute(index.format(table, sql.Identifier(f"{kind}_l2_ops")))
    return name


def run_of_theirs(digits: Digits, table: str) -> str:
    """A saved run of FiftyOne's adapter, as it is without the adapter's library."""
    import eta.core.utils as etau

    made = etau.get_class(THEIRS)(
        table_name=table, index_name=f"{table}-index", metric="euclidean", hnsw_ef_search=40
    )
    key = f"theirs_{next(_numbers)}"
    made.build().register_run(digits.dataset, key)
    return key


def test_parameters_of_fiftyone_are_settings_and_others_are_errors(config: Any) -> None:
    made = config(
        connection_string=f"postgresql://me:{SECRET}@db.example:5432/photos",
        ssl_cert="/c.pem",
        ssl_key="/k.pem",
        ssl_root_cert="/r.pem",
        work_mem="64MB",
        maintenance_work_mem="256MB",
        index_type="hnsw",
        hnsw_m=16,
        hnsw_ef_construction=64,
        hnsw_ef_search=40,
        ivfflat_lists=100,
        ivfflat_probes=1,
    )
    settings = made.resolved()
    assert (settings.uri, settings.user) == ("postgresql://db.example:5432", "me")
    assert (str(settings.ssl_root_cert), settings.hnsw_ef_search) == ("/r.pem", 40)
    assert (made.method, made.metric, made.max_k) == ("pgvector", "cosine", None)
    with pytest.raises(UnknownSettingError, match=r"'conection_string' \(did you mean"):
        config(conection_string=f"postgresql://me:{SECRET}@db.example")
    for metric in ("l1", "hamming"):
        with pytest.raises(InvalidArgumentError, match="metric"):
            config(metric=metric)


def test_what_has_no_use_is_accepted_and_said_once(
    config: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecbridge.fiftyone._config._said", set())
    with caplog.at_level(logging.WARNING, logger="vecbridge"):
        for name in ("your-index", "another"):
            config(index_name=name).load_credentials(index_name=name)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Parameter 'index_name' of FiftyOne's pgvector is not used"
    ]


def test_environment_and_file_say_where_the_server_is(
    config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "brain_config.json"
    file.write_text(
        '{"similarity_backends": {"pgvector": {"connection_string": "postgresql://file/a",'
        ' "index_name": "your-index", "hnsw_m": 20}}}'
    )
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(file))
    assert (config().resolved().uri, config().resolved().hnsw_m) == ("postgresql://file", 20)
    monkeypatch.setenv(f"{PREFIX}CONNECTION_STRING", "postgresql://environment/a")
    assert config().resolved().uri == "postgresql://environment"
    given = config(connection_string="postgresql://keyword/a")
    assert given.resolved().uri == "postgresql://keyword"
    monkeypatch.setenv(f"{PREFIX}CONECTION_STRING", "x")
    with pytest.raises(ConfigurationError, match="conection_string"):
        config().resolved()


@pytest.mark.parametrize(
    "given",
    [
        {"connection_string": f"postgresql://me:{SECRET}@h/db"},
        {"uri": f"host=/run/postgresql user=me password={SECRET}"},
        {"uri": f" password = {SECRET} host=/run/postgresql"},
        {"uri": f"postgresql://me:{SECRET}@h/db"},
        {"password": SECRET},
    ],
    ids=["connection_string", "keywords", "spaces", "uri", "password"],
)
def test_no_form_of_an_address_is_stored(config: Any, given: dict[str, str]) -> None:
    stored = config(table_name="your-table", **given).serialize()
    assert SECRET not in str(stored)
    assert "uri" not in stored
    assert list(stored["table_names"].values()) == ["your-table"]


def test_tables_have_indexes_of_their_own_names_where_they_can(config: Any) -> None:
    assert config(table_name="photos").collection_name == "photos"
    tables = [
        "your-table",
        "your_table",
        "your table",
        "1",
        "_",
        "Fotografías",
        "x" * 63,
        "x-" * 31,
    ]
    made = [config(table_name=each) for each in tables]
    assert [each.table_name for each in made] == tables
    assert len({each.collection_name for each in made}) == len(tables)
    for each in ("", "x" * 64):
        with pytest.raises(InvalidArgumentError, match="1 to 63 bytes"):
            config(table_name=each)


def test_a_run_keeps_its_table_and_no_secret(
    fob: Any, digits: Digits, elsewhere: Elsewhere, role: str
) -> None:
    case = Case("pgvector", {"connection_string": role})
    index = new_run(digits, case, embeddings=digits.vectors, table_name="kept-table")
    key = index.key
    with psycopg.connect(role) as client:
        rows = client.execute('SELECT count(*) FROM "kept-table"').fetchall()
    assert rows == [(len(digits.ids),)]
    digits.dataset.save()
    answer = elsewhere.run(LOADED, digits.dataset.name, key, role)
    assert answer == ["kept-table", len(digits.ids)]
    assert index.config.collection_name.startswith("kept_table_")
    before = index.config.collection_name
    index.detach()
    assert index.config.table_name not in {"kept-table", before}
    assert index.total_index_size == len(digits.ids)
    assert SECRET.encode() not in dump()
    index.delete()
    with psycopg.connect(role, autocommit=True) as client:
        client.execute('DROP TABLE "kept-table"')


def test_a_table_of_fiftyones_is_adopted_where_it_is(
    fob: Any, digits: Digits, pgvector_uri: str, tmp_path: Path
) -> None:
    from vecbridge.fiftyone import adopt

    table = table_of_theirs(pgvector_uri, digits)
    key = run_of_theirs(digits, table)
    plan = adopt(digits.dataset, key, dry_run=True, connection_string=pgvector_uri)
    assert (plan.in_place, plan.records, plan.done) == (True, len(digits.ids), False)
    assert digits.dataset.get_brain_info(key).config.cls == THEIRS
    done = adopt(digits.dataset, key, connection_string=pgvector_uri)
    assert (done.collection_name, done.left, done.mended) == (table, None, 0)
    digits.dataset.reload()
    index = digits.dataset.load_brain_results(key, connection_string=pgvector_uri)
    assert (index.config.method, index.config.table_name) == ("pgvector", table)
    ids, _, dists = index._kneighbors(digits.ids[3], k=9, return_dists=True)
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[3])[:9]
    assert list(zip(ids, dists, strict=True)) == expected
    index.add_to_index(digits.vectors[5:6], digits.ids[3:4])
    assert index.total_index_size == len(digits.ids)
    with psycopg.connect(pgvector_uri) as client:
        query = sql.SQL("SELECT sample_id, embedding_vector::text FROM {} WHERE id = %s")
        ((sample, vector),) = client.execute(
            query.format(sql.Identifier(table)), [digits.ids[3]]
        ).fetchall()
    assert sample == digits.ids[3]
    assert np.array_equal(np.fromstring(vector[1:-1], sep=","), digits.vectors[5])
    index.delete()


def test_a_table_of_fiftyones_is_copied_to_another_store(
    fob: Any, digits: Digits, pgvector_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone import adopt

    monkeypatch.setenv(f"{PREFIX}CONNECTION_STRING", pgvector_uri)
    # Its vectors are small whole numbers, which halves hold.
    table = table_of_theirs(pgvector_uri, digits, kind="halfvec")
    key = run_of_theirs(digits, table)
    done = adopt(digits.dataset, key, to="sklearn", path=str(tmp_path))
    assert (done.in_place, done.records, done.left) == (False, len(digits.ids), table)
    digits.dataset.reload()
    index = digits.dataset.load_brain_results(key)
    vectors, samples, _ = index.get_embeddings()
    assert np.array_equal(vectors, digits.vectors[[digits.row(name) for name in samples]])
    index.delete()
    with psycopg.connect(pgvector_uri, autocommit=True) as client:
        client.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
