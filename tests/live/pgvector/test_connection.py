"""Connections to a real server: refused, frozen, ended, forked and shared."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import numpy as np
import psycopg
import pytest

import vecbridge
from tests.live.pgvector.conftest import Opener
from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    FieldType,
    Index,
    OperationTimeoutError,
    field,
)

SECRET = "hunter2-hunter2"


def filled(opened: Opener, **options: Any) -> Index:
    index = opened(**options).create_index("t", dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[0, 0], [3, 4]])
    return index


def chain_of(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def test_a_wrong_password_is_refused_and_kept_nowhere(
    pgvector_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = pgvector_uri.partition("://")[2].partition(":")[0]
    host = pgvector_uri.rpartition("@")[2]
    uri = f"postgresql://{user}:{SECRET}@{host}"
    with (
        vecbridge.get_backend("pgvector", uri=uri) as store,
        pytest.raises(AuthenticationError, match="user, password and sslmode") as caught,
    ):
        store.index_names()
    for error in chain_of(caught.value):
        assert SECRET not in f"{error!r} {vars(error)}"
        assert getattr(error, "pgconn", None) is None
        traceback = error.__traceback__
        while traceback is not None and error is not caught.value:
            assert SECRET not in str(traceback.tb_frame.f_locals)
            traceback = traceback.tb_next
    assert SECRET not in caplog.text


def test_a_database_that_is_not_there_is_named(pgvector_uri: str) -> None:
    uri = pgvector_uri.rpartition("/")[0] + "/not_there"
    with (
        vecbridge.get_backend("pgvector", uri=uri) as store,
        pytest.raises(ConfigurationError, match=r'"not_there" does not exist.*dbname'),
    ):
        store.index_names()


def test_a_server_that_does_not_do_tls_is_refused_where_it_is_asked_for(pgvector_uri: str) -> None:
    with (
        vecbridge.get_backend("pgvector", uri=pgvector_uri, sslmode="require") as store,
        pytest.raises(ConnectionFailedError, match="SSL"),
    ):
        store.index_names()


def test_a_session_that_the_server_ends_is_made_again(
    raw: psycopg.Connection[Any], opened: Opener
) -> None:
    index = filled(opened)
    for _ in range(3):
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'vecbridge'"
        )
        assert index.count() == 2
        index.upsert(["c"], [[1, 1]])
        index.delete(["c"])


def test_a_lock_that_another_holds_ends_a_call_in_time(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    index = filled(opened, timeout=1.0)
    with raw.transaction():
        raw.execute(f'LOCK TABLE "{schema}"."t" IN ACCESS EXCLUSIVE MODE')
        started = time.monotonic()
        with pytest.raises(OperationTimeoutError, match="pg_stat_activity") as caught:
            index.upsert(["c"], [[1, 1]])
        assert time.monotonic() - started < 5.0
    assert caught.value.retryable
    index.upsert(["c"], [[1, 1]])
    assert index.count() == 3


def test_a_forked_child_has_connections_of_its_own(opened: Opener) -> None:
    index = filled(opened)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            index.upsert(["child"], [[1, 1]])
            code = 0 if index.count() == 3 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert index.contains(["child", "a"]).tolist() == [True, True]


def test_threads_share_a_small_pool(raw: psycopg.Connection[Any], opened: Opener) -> None:
    index = filled(opened, pool_size=2)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(10):
                index.upsert([f"{number}-{step}"], [[number, step]])
                assert index.search([number, step], k=1)[0].distances[0] == 0.0
        except BaseException as error:  # noqa: BLE001 - of a thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert index.count() == 62
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vecbridge'"
    found = raw.execute(query).fetchone()
    assert found is not None
    assert found[0] <= 2


def test_writers_of_the_same_ids_wait_for_each_other_and_lose_nothing(opened: Opener) -> None:
    index = filled(opened)
    ids = [f"id{number:03}" for number in range(200)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        order = np.random.default_rng(number).permutation(200)
        try:
            for _ in range(4):
                vectors = np.full((200, 2), number, np.float32)
                index.upsert([ids[row] for row in order], vectors)
                index.delete([ids[row] for row in order[:50]])
        except BaseException as error:  # noqa: BLE001 - of a thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    found = index.fetch(ids)
    assert set(found.vectors[:, 0].tolist()) <= {0.0, 1.0, 2.0, 3.0}
    assert (found.vectors[:, 0] == found.vectors[:, 1]).all()


def test_texts_are_kept_as_they_are_whatever_encoding_the_environment_names(
    opened: Opener, raw: psycopg.Connection[Any], schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    index = opened().create_index("t", dimension=2, metric="euclidean", fields={"label": "string"})
    names = ["\u00e9", "\u65e5\u672c", "\U0001f600"]
    index.upsert(names, np.eye(3, 2), {"label": names})
    assert index.fetch(names).ids == tuple(names)
    found = raw.execute(f'SELECT id, label FROM "{schema}".t').fetchall()
    assert sorted(found) == sorted(zip(names, names, strict=True))


def test_texts_are_kept_as_they_are_whatever_encoding_a_role_names(
    raw: psycopg.Connection[Any], opened: Opener, schema: str, role: str, pgvector_uri: str
) -> None:
    raw.execute(f"ALTER ROLE {role} SET client_encoding = 'LATIN1'")
    raw.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}")
    uri = f"postgresql://{role}:{role}@{pgvector_uri.rpartition('@')[2]}"
    fields: dict[str, FieldType] = {"label": "string"}
    index = opened(uri=uri).create_index("t", dimension=2, metric="euclidean", fields=fields)
    names = ["\u00e9", "\u65e5\u672c", "\U0001f600"]
    index.upsert(names, np.eye(3, 2), {"label": names})
    assert index.count(where=field("label") == "\u00e9") == 1
    found = raw.execute(f'SELECT id, label FROM "{schema}".t').fetchall()
    assert sorted(found) == sorted(zip(names, names, strict=True))


def test_a_server_that_answers_that_it_is_full_is_not_said_to_be_down(
    raw: psycopg.Connection[Any], role: str, pgvector_uri: str
) -> None:
    raw.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    uri = f"postgresql://{role}:{role}@{pgvector_uri.rpartition('@')[2]}"
    with (
        vecbridge.get_backend("pgvector", uri=uri) as store,
        pytest.raises(ConnectionFailedError, match="too many connections") as caught,
    ):
        store.index_names()
    assert "Is the server running" not in str(caught.value)
