"""What failures of a server, and of a folder, are called."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    OperationTimeoutError,
    VecbridgeError,
)

SECRET = "hunter2-hunter2"
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


def asked(**options: Any) -> None:
    with vecbridge.get_backend("qdrant", timeout=1, retry_timeout=0, **options) as store:
        store.index_names()


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": {"error": "so it is"}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, ConfigurationError, None),
        (429, BackendError, True),
        (500, BackendError, False),
        (503, ConnectionFailedError, True),
        (507, BackendError, False),
        (200, BackendError, False),
    ],
)
def test_an_answer_becomes_an_error_by_its_status(
    status: int, kind: type[VecbridgeError], retryable: bool | None
) -> None:
    with answering(status) as url, pytest.raises(kind) as caught:
        asked(url=url, api_key=SECRET)

    assert type(caught.value) is kind
    assert getattr(caught.value, "retryable", None) is retryable
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize("grpc", [False, True])
def test_a_closed_port_and_a_silent_server_are_told_apart(grpc: bool) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(OperationTimeoutError, match="timeout"):
            asked(url=f"http://127.0.0.1:{port}", prefer_grpc=grpc, grpc_port=port)
    with pytest.raises(ConnectionFailedError, match="Is the server running"):
        asked(url=f"http://127.0.0.1:{port}", prefer_grpc=grpc, grpc_port=port)


def test_a_folder_of_other_files_is_none_of_qdrants(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")

    with pytest.raises(CorruptStoreError, match=r"no meta\.json"):
        asked(path=tmp_path)

    assert [each.name for each in tmp_path.iterdir()] == ["notes"]
    with pytest.raises(ConfigurationError, match="path"):
        asked(path=tmp_path / "notes")


def test_records_that_are_gone_or_torn_are_no_empty_collection(tmp_path: Path) -> None:
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        store.create_index("a", dimension=2, metric="euclidean").upsert(["x"], [[1, 2]])
    records = tmp_path / "collection" / "a" / "storage.sqlite"
    with closing(sqlite3.connect(records)) as database, database:
        database.execute("UPDATE points SET point = x'80'")
    with pytest.raises(CorruptStoreError, match="cannot be read"):
        asked(path=tmp_path)
    records.unlink()
    with pytest.raises(CorruptStoreError, match="records of collection 'a' are missing"):
        asked(path=tmp_path)
