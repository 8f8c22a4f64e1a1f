"""Encrypted connections, to a proxy before a Redis that was built without TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import vecbridge
from tests.servers.certificates import Authority
from vecbridge import ConnectionFailedError


def pumped(source: socket.socket, sink: socket.socket) -> None:
    """Hand on what arrives until one side ends."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def encrypted(uri: str, context: ssl.SSLContext) -> Iterator[int]:
    """Yield the port of a proxy that speaks TLS."""
    place = urlsplit(uri)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def served() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    threading.Thread(target=relayed, args=(plain,), daemon=True).start()

        def relayed(plain: socket.socket) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(plain, server_side=True) as secure,
                socket.create_connection((place.hostname or "", place.port or 0)) as behind,
            ):
                back = threading.Thread(target=pumped, args=(behind, secure), daemon=True)
                back.start()
                pumped(secure, behind)
                back.join()

        threading.Thread(target=served, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of the server and of good clients."""
    return Authority(tmp_path_factory.mktemp("tls"), "ca")


@pytest.fixture(scope="module")
def port(redis_uri: str, authority: Authority) -> Iterator[int]:
    """Where the proxy listens; it wants the certificate of a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("redis"))
    context.load_verify_locations(authority.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with encrypted(redis_uri, context) as port:
        yield port


def test_both_sides_show_who_they_are(port: int, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    mine, foreign = authority.certificate("client"), other.certificate("client")
    cases: list[tuple[str, Authority | None, Any, bool]] = [
        ("localhost", authority, mine, True),
        ("localhost", authority, foreign, False),
        ("localhost", authority, (None, None), False),
        ("localhost", other, mine, False),
        ("localhost", None, mine, False),
        # The same address under a name that the certificate is not for.
        ("127.1", authority, mine, False),
    ]
    for host, trusted, (certificate, key), good in cases:
        options: dict[str, Any] = {"host": host, "port": port, "tls": True, "timeout": 5}
        options |= {"ssl_root_cert": trusted and trusted.pem}
        options |= {"ssl_cert": certificate, "ssl_key": key}
        with vecbridge.get_backend("redis", **options) as store:
            if good:
                assert isinstance(store.index_names(), list)
                continue
            with pytest.raises(ConnectionFailedError, match=r"(?i)certificate|ssl"):
                store.index_names()
