"""Connections to a real Redis: refused, silent, and of a user with few rights."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest

import vecbridge
from tests.servers.milvus import free_ports
from tests.servers.redis import RedisServer, running_redis
from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    OperationTimeoutError,
    Store,
)

SECRET = "hunter2-hunter2"


@pytest.fixture(scope="module")
def locked() -> Iterator[RedisServer]:
    """A server that asks for a password."""
    with running_redis("--requirepass", SECRET) as server:
        yield server


def opened(server: RedisServer, **options: object) -> Store:
    return vecbridge.get_backend("redis", **{"uri": server.uri, **options})


@pytest.mark.parametrize(
    "given", [{}, {"password": f"{SECRET}-wrong"}, {"username": "nobody", "password": SECRET}]
)
def test_who_may_not_ask_is_refused(locked: RedisServer, given: dict[str, str]) -> None:
    with (
        opened(locked, **given) as store,
        pytest.raises(AuthenticationError, match="username and password") as caught,
    ):
        store.index_names()
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def grant(server: RedisServer, user: str, *rights: str) -> None:
    """Make a user that may do nothing else, on the keys of one index alone."""
    with server.client(password=SECRET) as client:
        given = ["on", f">{SECRET}", "~vecbridge:*", "~rights", *rights]
        client.execute_command("ACL", "SETUSER", user, *given)


READ = ("+@read", "+ft.info", "+ft._list", "+ft.search", "+info", "+@connection")
WRITE = ("+@write", "-ft.create", "-ft.dropindex", "+@transaction")


def test_a_user_does_what_it_has_rights_for(locked: RedisServer) -> None:
    grant(locked, "reader", *READ)
    grant(locked, "writer", *READ, *WRITE)
    grant(locked, "owner", *READ, *WRITE, "+ft.create", "+ft.dropindex", "+config|get")
    with ExitStack() as stack:
        reader, writer, owner = (
            stack.enter_context(opened(locked, username=user, password=SECRET))
            for user in ("reader", "writer", "owner")
        )
        for store in (reader, writer):
            with pytest.raises(AuthenticationError, match="rights"):
                store.create_index("rights", dimension=2, metric="cosine")
        made = owner.create_index("rights", dimension=2, metric="cosine")
        assert made.capabilities.durable
        writer.open_index("rights").upsert(["a"], [[1, 2]])
        index = reader.open_index("rights")
        assert index.search([1, 2], k=1)[0].ids == ("a",)
        assert [batch.ids for batch in index.scan(9)] == [("a",)]
        with locked.client(password=SECRET) as raw:
            (key,) = raw.scan_iter(match="vecbridge:{rights.*:a", count=10_000)
            for value, said in (("abc", "no search finds it"), ("2.0", "")):
                raw.hset(key, ".norm", value)
                with pytest.raises(CorruptStoreError, match=said) if said else nullcontext():
                    reader.open_index("rights").search([1, 2], k=1)
        # Who may not see how the server is configured is not told that it keeps everything.
        assert not index.capabilities.durable
        with pytest.raises(AuthenticationError, match="rights"):
            index.upsert(["b"], [[1, 2]])
        for store in (reader, writer):
            with pytest.raises(AuthenticationError, match="rights"):
                store.drop_index("rights")
        owner.drop_index("rights")


def test_a_server_that_is_silent_is_waited_for_no_longer_than_the_timeout(
    locked: RedisServer,
) -> None:
    with opened(locked, password=SECRET, timeout=0.3, retry_timeout=0) as store:
        store.index_names()
        with locked.client(password=SECRET) as client:
            client.client_pause(700)
        started = time.monotonic()
        with pytest.raises(OperationTimeoutError, match="setting timeout"):
            store.index_names()
        assert time.monotonic() - started < 0.7
        time.sleep(0.6)
        store.index_names()


def test_threads_wait_for_a_connection(locked: RedisServer) -> None:
    with opened(locked, password=SECRET, pool_size=2) as store:
        index = store.create_index("threads", dimension=2, metric="cosine")
        threads = [
            threading.Thread(target=index.upsert, args=([str(n)], [[1, n]])) for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert index.count() == 12
        with locked.client(password=SECRET) as client:
            assert len(client.client_list(_type="normal")) <= 3
        store.drop_index("threads")


def test_a_server_that_is_none_is_said_to_be(locked: RedisServer) -> None:
    with (
        vecbridge.get_backend("redis", host="127.0.0.1", port=1) as store,
        pytest.raises(ConnectionFailedError, match="Is the server running"),
    ):
        store.index_names()


def test_a_server_that_speaks_no_tls_is_said_to(locked: RedisServer) -> None:
    uri = locked.uri.replace("redis:", "rediss:")
    with (
        vecbridge.get_backend("redis", uri=uri, timeout=0.3) as store,
        pytest.raises(OperationTimeoutError, match="without TLS"),
    ):
        store.index_names()


def test_a_cluster_is_refused() -> None:
    (port,) = free_ports(1)
    with (
        running_redis("--cluster-enabled", "yes", "--cluster-port", str(port)) as server,
        opened(server) as store,
        pytest.raises(ConfigurationError, match="a part of a cluster"),
    ):
        store.create_index("x", dimension=2, metric="cosine")
