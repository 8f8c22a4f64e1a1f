"""Addresses of PostgreSQL, in each of their forms, and what is in them."""

from __future__ import annotations

from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError, ConnectionFailedError
from vecbridge_pgvector import PgvectorBackend, PgvectorSettings

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"host": None, "port": None, "dbname": None}),
        ({"uri": ""}, {"host": None, "port": None}),
        ({"uri": "dbname=x"}, {"host": None, "dbname": "x"}),
        ({"uri": "postgresql:///x"}, {"host": None, "dbname": "x"}),
        ({"uri": "postgresql://:5433/x"}, {"host": None, "port": "5433"}),
        ({"uri": "postgresql://me@/x?host=/run/pg"}, {"host": "/run/pg", "user": "me"}),
        ({"uri": "postgresql://me@%2Frun%2Fpg:5433/x"}, {"host": "/run/pg", "port": "5433"}),
        ({"uri": "postgresql://a:1,b:2/x"}, {"host": "a,b", "port": "1,2"}),
        ({"uri": "postgresql://db?port=5433&host=other"}, {"host": "other", "port": "5433"}),
        ({"uri": "service=photos"}, {"host": None, "service": "photos"}),
        ({"uri": "postgresql://db.example:5433/photos"}, {"host": "db.example", "port": "5433"}),
        ({"uri": f"postgres://me:{SECRET}@db/x"}, {"user": "me", "password": SECRET}),
        ({"uri": "postgresql://me:p%40ss%3A%2F@db"}, {"password": "p@ss:/"}),
        ({"uri": "postgresql://[::1]:5433"}, {"host": "::1", "port": "5433"}),
        (
            {"uri": "postgresql://db/x?sslmode=verify-full&sslrootcert=/ca.pem"},
            {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "dbname": "x"},
        ),
        ({"uri": "postgresql:///x?host=/run/pg"}, {"host": "/run/pg", "dbname": "x"}),
        (
            {"uri": f"host=db port=5433 user=me password='{SECRET} \\'x'"},
            {"host": "db", "port": "5433", "user": "me", "password": f"{SECRET} 'x"},
        ),
        ({"uri": "host=a,b port=1,2"}, {"host": "a,b", "port": "1,2"}),
        ({"connection_string": f"postgresql://me:{SECRET}@db"}, {"host": "db", "user": "me"}),
        ({"uri": "postgresql://db", "user": "me", "password": SECRET}, {"password": SECRET}),
        ({"ssl_cert": "/c", "ssl_key": "/k"}, {"sslcert": "/c", "sslkey": "/k"}),
        ({"parameters": {"target_session_attrs": "primary"}}, {"target_session_attrs": "primary"}),
    ],
)
def test_an_address_becomes_the_parameters_of_a_connection(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    settings = PgvectorSettings(**given)
    conninfo = settings.conninfo()
    assert {key: conninfo.get(key) for key in expected} == expected
    assert SECRET not in f"{settings!r} {settings.place} {settings.uri}"


@pytest.mark.parametrize(
    "given",
    [
        {"uri": f"mysql://me:{SECRET}@db"},
        {"uri": f"me:{SECRET}@db"},
        {"uri": f"postgresql://me:x@{SECRET}@db"},
        {"uri": f"postgresql://me:1/{SECRET}@db"},
        {"uri": f"postgresql://me:x@{SECRET}%40db"},
        {"uri": f"host=x@{SECRET}"},
        {"uri": f"host=db port={SECRET}"},
        {"uri": f"postgresql://db/x?sslpassword={SECRET}"},
        {"uri": f"host=db password={SECRET} nonsense={SECRET}"},
        {"uri": f"host=db '{SECRET}"},
        {"uri": f"postgresql://me:{SECRET}@db", "user": "other"},
        {"uri": "postgresql://db", "connection_string": f"postgresql://me:{SECRET}@db"},
        {"parameters": {"password": SECRET}},
        {"parameters": {SECRET: "x"}},
        {"vector_type": "halfvec"},
        {"index_type": "flat"},
        {"recall": 1.0},
        {"work_mem": f"64MB; {SECRET}"},
    ],
)
def test_what_is_no_setting_is_refused_and_not_shown(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        vecbridge.get_backend("pgvector", **given)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r}"
        error = error.__cause__ or error.__context__


def test_fiftyones_own_parameters_are_settings() -> None:
    given: dict[str, Any] = {
        "connection_string": "postgresql://postgres:x@localhost:5432/postgres",
        "ssl_cert": "/c.pem",
        "ssl_key": "/k.pem",
        "ssl_root_cert": "/ca.pem",
        "work_mem": "64MB",
        "maintenance_work_mem": "1 GB",
        "vector_type": "vector",
        "index_type": "hnsw",
        "hnsw_m": 16,
        "hnsw_ef_construction": 64,
        "hnsw_ef_search": 40,
        "ivfflat_lists": 10,
        "ivfflat_probes": 3,
    }
    with vecbridge.get_backend("pgvector", **given) as store:
        assert isinstance(store.backend, PgvectorBackend)
        assert store.backend.settings.hnsw_ef_search == 40


@pytest.mark.parametrize("uri", [None, "", "dbname=x", "postgresql:///x", "postgresql://me@/x"])
def test_what_an_address_does_not_say_is_left_to_the_variables_of_libpq(
    uri: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGPORT", "5499")
    options: dict[str, Any] = {"uri": uri, "timeout": 2.0}
    with (
        vecbridge.get_backend("pgvector", **options) as store,
        pytest.raises(ConnectionFailedError, match=r"socket .*/nowhere/\.s\.PGSQL\.5499"),
    ):
        store.index_names()


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"uri": "postgresql://me:x@db:1/x"}, "db:1"),
        ({"uri": "postgresql://[::1]:1"}, "[::1]:1"),
        ({"uri": "host=/run/pg"}, "/run/pg"),
        ({"uri": "service=photos"}, "service photos"),
        ({}, "the default socket"),
    ],
)
def test_messages_say_where_the_server_is(
    given: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert PgvectorSettings(**given).place == place


@pytest.mark.parametrize("names", [{"a": "x", "b": "x"}, {"a": ""}, {"no name": "x"}])
def test_no_two_indexes_have_one_table(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        vecbridge.get_backend("pgvector", table_names=names)
