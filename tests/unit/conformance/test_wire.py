"""The proxy before a server: it passes, cuts before and after, freezes and delays."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from vecbridge_conformance import Wire

LARGE = b"x" * 1000
SMALL = b"ping"


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, and remembers it."""

    heard: bytes = b""

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            Echo.heard += data
            self.request.sendall(data)


@pytest.fixture
def wire() -> Iterator[Wire]:
    Echo.heard = b""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Wire("127.0.0.1", server.server_address[1]) as used:
            yield used
        server.shutdown()


def connected(wire: Wire) -> socket.socket:
    return socket.create_connection(("127.0.0.1", wire.port), timeout=5.0)


def answer(client: socket.socket, sent: bytes) -> bytes:
    client.sendall(sent)
    got = b""
    while len(got) < len(sent) and (data := client.recv(1 << 16)):
        got += data
    return got


def test_everything_passes_until_it_is_told_otherwise(wire: Wire) -> None:
    with connected(wire) as client:
        assert answer(client, LARGE) == LARGE
        assert answer(client, SMALL) == SMALL
    assert wire.cuts == 0


def test_a_cut_before_keeps_the_request_from_the_server(wire: Wire) -> None:
    with connected(wire) as client:
        wire.cut_before_next_request()
        assert answer(client, SMALL) == SMALL
        assert answer(client, LARGE) == b""
    assert Echo.heard == SMALL
    assert wire.cuts == 1
    with connected(wire) as again:
        assert answer(again, LARGE) == LARGE


def test_a_cut_after_keeps_the_answer_from_the_client(wire: Wire) -> None:
    with connected(wire) as client:
        wire.cut_after_next_request()
        assert answer(client, LARGE) == b""
    assert Echo.heard == LARGE


def test_what_is_frozen_passes_later(wire: Wire) -> None:
    with connected(wire) as client:
        with wire.frozen():
            client.settimeout(0.2)
            client.sendall(LARGE)
            with pytest.raises(TimeoutError):
                client.recv(1)
        client.settimeout(5.0)
        assert client.recv(1) == b"x"


def test_a_delay_is_paid_by_each_piece(wire: Wire) -> None:
    with connected(wire) as client, wire.delayed(0.1):
        start = time.monotonic()
        assert answer(client, SMALL) == SMALL
        assert time.monotonic() - start >= 0.2


def test_where_the_server_is_gone_the_connection_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Wire("127.0.0.1", port) as wire, connected(wire) as client:
        assert client.recv(1) == b""
