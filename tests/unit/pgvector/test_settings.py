"""Addresses of PostgreSQL, in each of their forms, and what is in them."""

from __future__ import annotations

from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_pgvector import PgvectorBackend, PgvectorSettings

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"host": "localhost"}),
        ({"uri": "postgresql://db.example:5433/photos"}, {"host": "db.example", "port": 5433}),
        ({"uri": f"postgres://me:{SECRET}@db/x"}, {"user": "me", "password": SECRET}),
        ({"uri": "postgresql://me:p%40ss%3A%2F@db"}, {"password": "p@ss:/"}),
        ({"uri": "postgresql://[::1]:5433"}, {"host": "::1", "port": 5433}),
        (
            {"uri": "postgresql://db/x?sslmode=verify-full&sslrootcert=/ca.pem"},
            {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "dbname": "x"},
        ),
        ({"uri": "postgresql:///x?host=/run/pg"}, {"host": "/run/pg", "dbname": "x"}),
        (
            {"uri": f"host=db port=5433 user=me password='{SECRET} \\'x'"},
            {"host": "db", "port": 5433, "user": "me", "password": f"{SECRET} 'x"},
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
        {"uri": f"postgresql://me:{SECRET}@"},
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
