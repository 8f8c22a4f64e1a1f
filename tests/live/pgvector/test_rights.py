"""A role with few rights is told whom to ask for what."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import vecbridge
from tests.live.pgvector.conftest import Opener
from vecbridge import AuthenticationError, ConfigurationError


@pytest.fixture
def bare_database(raw: psycopg.Connection[Any], role: str) -> Iterator[str]:
    """A database without the extension, in which the role may make schemas."""
    name = f"bare_{uuid.uuid4().hex[:12]}"
    raw.execute(f"CREATE DATABASE {name}")
    raw.execute(f"GRANT CREATE ON DATABASE {name} TO {role}")
    yield name
    raw.execute(f"DROP DATABASE {name} WITH (FORCE)")


def at(uri: str, role: str, database: str = "postgres") -> str:
    given = conninfo_to_dict(uri)
    return f"postgresql://{role}:{role}@{given['host']}:{given['port']}/{database}"


def test_a_role_that_may_not_create_the_extension_is_told_what_to_ask_for(
    pgvector_uri: str, role: str, bare_database: str
) -> None:
    with vecbridge.get_backend("pgvector", uri=at(pgvector_uri, role, bare_database)) as store:
        assert store.index_names() == []
        with pytest.raises(ConfigurationError) as caught:
            store.create_index("t", dimension=2, metric="cosine")
    told = str(caught.value)
    assert f"role '{role}' cannot create it" in told
    assert f"database '{bare_database}'" in told
    assert told.endswith("Ask the administrator to run in this database: CREATE EXTENSION vector")


def test_the_administrator_creates_the_extension_by_making_an_index(
    pgvector_uri: str, bare_database: str
) -> None:
    uri = pgvector_uri.rpartition("/")[0] + f"/{bare_database}"
    with vecbridge.get_backend("pgvector", uri=uri, schema_name="own") as store:
        index = store.create_index("t", dimension=2, metric="cosine")
        index.upsert(["a"], [[1.0, 2.0]])
        assert index.search([1.0, 2.0], k=1)[0].ids == ("a",)


def test_a_role_that_may_make_no_tables_is_told_what_to_ask_for(
    pgvector_uri: str, role: str, schema: str, opened: Opener
) -> None:
    opened().create_index("t", dimension=2, metric="cosine").upsert(["a"], [[1.0, 2.0]])
    uri = at(pgvector_uri, role)
    with (
        vecbridge.get_backend("pgvector", uri=uri, schema_name=schema) as store,
        pytest.raises(AuthenticationError, match="GRANT USAGE, CREATE ON SCHEMA"),
    ):
        store.create_index("u", dimension=2, metric="cosine")
    with (
        vecbridge.get_backend("pgvector", uri=uri, schema_name="not_there") as store,
        pytest.raises(ConfigurationError, match="CREATE SCHEMA not_there AUTHORIZATION"),
    ):
        store.create_index("u", dimension=2, metric="cosine")


def test_a_role_that_only_reads_reads(
    raw: psycopg.Connection[Any], pgvector_uri: str, role: str, schema: str, opened: Opener
) -> None:
    opened().create_index("t", dimension=2, metric="cosine").upsert(["a"], [[1.0, 2.0]])
    raw.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    raw.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
    uri = at(pgvector_uri, role)
    with (
        vecbridge.get_backend("pgvector", uri=uri, schema_name=schema) as store,
        pytest.raises(AuthenticationError, match="Only the owner may drop"),
    ):
        store.drop_index("t")
    for kind in ("none", "hnsw"):
        given = {"uri": uri, "schema_name": schema, "index_type": kind}
        with vecbridge.get_backend("pgvector", **given) as store:
            index = store.open_index("t")
            assert index.search([1.0, 2.0], k=1)[0].ids == ("a",)
            with pytest.raises(AuthenticationError, match="Ask the owner for GRANT SELECT, INSERT"):
                index.upsert(["b"], [[1.0, 2.0]])


def test_the_doctor_says_what_is_missing(pgvector_uri: str, role: str, bare_database: str) -> None:
    from vecbridge.diagnosis import diagnose

    uri = at(pgvector_uri, role, bare_database)
    found = {each.check: each for each in diagnose("pgvector", uri=uri, write=False)}
    assert found["extension"].status == "warning"
    assert "CREATE EXTENSION vector" in found["extension"].advice
    assert found["connection"].found == "not encrypted"
    assert found["rights"].advice.endswith(f"TO {role}")
    assert role in found["server"].found
    assert not any(f":{role}@" in str(each) for each in found.values())


def test_the_doctor_goes_on_past_a_table_that_is_no_index(
    raw: psycopg.Connection[Any], pgvector_uri: str, schema: str, opened: Opener
) -> None:
    from vecbridge.diagnosis import diagnose

    raw.execute(f'CREATE TABLE "{schema}".a (id text PRIMARY KEY, v vector(2))')
    opened().create_index("b", dimension=2, metric="cosine")
    given: dict[str, Any] = {"uri": pgvector_uri, "schema_name": schema}
    found = {each.check: each for each in diagnose("pgvector", **given)}
    assert "setting metric" in found["index a"].advice
    assert found["index b"].status == "ok"
    assert "failed" not in {each.status for each in found.values()}


def test_processes_that_make_the_first_indexes_at_once_all_succeed(
    pgvector_uri: str, bare_database: str
) -> None:
    uri = pgvector_uri.rpartition("/")[0] + f"/{bare_database}"
    names = ["a", "b", "c", "d", "a"]
    barrier, ends = threading.Barrier(len(names)), list[str]()

    def make(name: str) -> None:
        with vecbridge.get_backend("pgvector", uri=uri, schema_name="own") as store:
            store.index_names()
            barrier.wait(30)
            try:
                store.create_index(name, dimension=2, metric="cosine")
                ends.append("made")
            except Exception as error:  # noqa: BLE001 - of a thread
                ends.append(type(error).__name__)

    threads = [threading.Thread(target=make, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ends) == ["IndexExistsError", *4 * ["made"]]
