"""Connections: lent, lost, made again, and each process's own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.unit.remote.shelf import ERRORS, Client, Connector, Server
from vecbridge import (
    BackendError,
    ClosedError,
    ConnectionFailedError,
    OperationTimeoutError,
)
from vecbridge.remote import Cause, ErrorTable, Link

SECRET = "hunter2-hunter2"


def linked(
    server: Server, *, clients: int | None = 2, timeout: float = 5.0, retry_timeout: float = 5.0
) -> tuple[Link[Client], Connector]:
    connector = Connector(server)
    link = Link(
        connector,
        ERRORS,
        place="here",
        timeout=timeout,
        retry_timeout=retry_timeout,
        clients=clients,
        secrets=[SECRET],
    )
    return link, connector


def held(release: threading.Event, begun: Callable[[], object]) -> Callable[[Client], Client]:
    def work(client: Client) -> Client:
        begun()
        assert release.wait(20)
        return client

    return work


def test_nothing_is_connected_before_the_first_call() -> None:
    _, connector = linked(Server())
    assert connector.made == []


def test_calls_one_after_the_other_share_a_client() -> None:
    link, connector = linked(Server())
    first = link.run("count", lambda client: client)
    assert link.run("count", lambda client: client) is first
    assert len(connector.made) == 1


@pytest.mark.parametrize(("clients", "distinct"), [(2, 2), (None, 1)])
def test_threads_have_clients_of_their_own_or_one_for_all(
    clients: int | None, distinct: int
) -> None:
    link, _ = linked(Server(), clients=clients)
    release, both = threading.Event(), threading.Barrier(3)
    found: list[Client] = []
    threads = [
        threading.Thread(target=lambda: found.append(link.run("count", held(release, both.wait))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    both.wait(20)
    release.set()
    for thread in threads:
        thread.join(20)
    assert len(set(map(id, found))) == distinct
    link.close()
    assert not any(client.open for client in found)


def test_a_call_waits_for_a_free_client_no_longer_than_the_timeout() -> None:
    link, _ = linked(Server(), clients=1, timeout=0.2)
    release, begun = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: link.run("count", held(release, begun.set)))
    thread.start()
    assert begun.wait(20)
    with pytest.raises(OperationTimeoutError, match="pool_size"):
        link.run("count", lambda client: client)
    release.set()
    thread.join(20)
    assert link.run("count", lambda client: client).open


@pytest.mark.parametrize("clients", [1, None])
def test_a_lost_client_is_ended_and_the_call_made_again(clients: int | None) -> None:
    server = Server()
    link, connector = linked(server, clients=clients)
    link.run("count", Client.call)
    server.failures = [ConnectionError("reset"), ConnectionError("refused")]
    assert link.run("count", lambda client: (client.call(), client)[1]) is connector.made[-1]
    assert [client.open for client in connector.made] == [False, True]


def test_a_store_that_never_answered_is_asked_once() -> None:
    server = Server(failures=[ConnectionError("refused")] * 9)
    link, _ = linked(server)
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError, match="Shelf at here could not connect: refused"):
        link.run("count", Client.call)
    assert time.monotonic() - started < 1.0
    assert len(server.failures) == 8


def test_retries_end_after_their_time() -> None:
    server = Server()
    link, _ = linked(server, retry_timeout=0.3)
    link.run("count", Client.call)
    server.failures = [ConnectionError("refused")] * 999
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError):
        link.run("count", Client.call)
    assert 0.2 < time.monotonic() - started < 3.0


def test_what_an_interrupt_broke_off_is_not_lent_again() -> None:
    link, connector = linked(Server(), clients=1)

    def interrupted(_: Client) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        link.run("count", interrupted)
    assert link.run("count", lambda client: client) is not connector.made[0]
    assert not connector.made[0].open


def test_a_closed_link_says_so_and_may_be_closed_twice() -> None:
    link, connector = linked(Server())
    link.run("count", Client.call)
    link.close()
    link.close()
    assert not connector.made[0].open
    with pytest.raises(ClosedError) as caught:
        link.run("count", Client.call)
    assert caught.value.operation == "count"


def test_a_client_that_comes_back_after_the_end_is_ended() -> None:
    link, connector = linked(Server())

    def closing(client: Client) -> Client:
        link.close()
        return client

    assert not link.run("count", closing).open
    assert len(connector.made) == 1


@pytest.mark.parametrize("clients", [1, None])
def test_a_client_that_connects_while_the_link_is_closed_is_ended(clients: int | None) -> None:
    link, connector = linked(Server(), clients=clients)
    connect = connector.connect

    def connects() -> Client:
        client = connect()
        link.close()
        return client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connector, "connect", connects)
        with suppress(ClosedError):
            link.run("count", lambda client: client)
    assert [client.open for client in connector.made] == [False]


def test_a_forgotten_link_ends_its_clients() -> None:
    link, connector = linked(Server())
    link.run("count", Client.call)
    del link
    assert not connector.made[0].open


def test_a_forked_child_connects_for_itself_and_leaves_the_parents_clients() -> None:
    link, connector = linked(Server())
    link.run("count", Client.call)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fresh = link.run("count", lambda client: client)
            code = 0 if fresh is not connector.made[0] and connector.made[0].open else 2
            link.close()
            code = code or (0 if connector.made[0].open else 3)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert link.run("count", lambda client: client) is connector.made[0]


def test_a_child_that_is_forked_inside_of_a_call_leaves_its_client_too() -> None:
    link, connector = linked(Server(), clients=1)

    def forks(client: Client) -> int:
        return os.fork()

    child = link.run("count", forks)
    if child == 0:
        code = 1
        try:
            fresh = link.run("count", lambda client: client)
            code = 0 if fresh is not connector.made[0] and connector.made[0].open else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class KeepsSecretsError(Exception):
    """What a client raises, with all that it was called with."""

    def __init__(self, text: str, password: str = "") -> None:
        super().__init__(text)
        self.password = password


def test_no_error_keeps_a_secret_in_its_text_its_causes_or_their_frames() -> None:
    table = ErrorTable(
        "shelf",
        "Shelf",
        [Cause(match=KeepsSecretsError, kind=ConnectionFailedError, advice="Call somebody")],
        packages=[],
    )
    link = Link(
        Connector(Server()), table, place="here", timeout=1.0, retry_timeout=0.0, secrets=[SECRET]
    )

    def fails(_: Client) -> None:
        raise KeepsSecretsError(f"cannot log in with {SECRET}", SECRET)

    with pytest.raises(ConnectionFailedError, match=r"Call somebody$") as caught:
        link.run("count", fails)
    error: BaseException | None = caught.value
    chain = []
    while error is not None:
        chain.append(error)
        assert SECRET not in f"{error} {error.args} {vars(error)}"
        error = error.__cause__
    assert len(chain) == 2
    assert chain[1].__traceback__ is None
    assert chain[0].__context__ is None


def test_a_defect_passes_as_it_is() -> None:
    link, _ = linked(Server())

    def fails(_: Client) -> None:
        raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        link.run("count", fails)


def test_what_no_cause_accepts_is_a_failure_of_the_store_if_its_client_raised_it() -> None:
    table = ErrorTable("shelf", "Shelf", [], packages=["tests"])
    translated = table.translate(KeepsSecretsError("odd"), "upsert")
    assert type(translated) is BackendError
    assert not translated.retryable
    assert translated.operation == "upsert"


def test_a_lost_connection_ends_those_that_are_idle_too() -> None:
    server = Server()
    link, connector = linked(server, clients=3)
    release, all_lent = threading.Event(), threading.Barrier(4)
    threads = [
        threading.Thread(target=link.run, args=("count", held(release, all_lent.wait)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    all_lent.wait(20)
    release.set()
    for thread in threads:
        thread.join(20)
    old, failed = list(connector.made), list[Client]()

    def work(client: Client) -> Client:
        if client in old:
            failed.append(client)
            raise ConnectionFailedError("lost", backend="shelf", operation="count", retryable=True)
        return client

    assert link.run("count", work) not in old
    assert len(failed) == 1
