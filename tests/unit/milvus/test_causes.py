from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

import vecbridge
from vecbridge import BackendError, ConnectionFailedError


def told(uri: str, timeout: float = 2) -> BackendError:
    """Return the error of a first call to an address."""
    with (
        vecbridge.get_backend("milvus", uri=uri, timeout=timeout) as store,
        pytest.raises(BackendError) as failed,
    ):
        store.index_names()
    return failed.value


@pytest.fixture
def other_server() -> Iterator[int]:
    """Port of a gRPC server that serves nothing of Milvus's."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.fixture
def unready_server() -> Iterator[int]:
    """Port of a server that tells its version, and takes no connection yet, as newer ones do."""
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

    reason = "service not ready[proxy=7]: state code: Abnormal"

    class Unready(milvus_pb2_grpc.MilvusServiceServicer):  # type: ignore[misc]
        def GetVersion(self, request: object, context: object) -> object:  # noqa: N802
            return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version="2.6.0")

        def Connect(self, request: object, context: object) -> object:  # noqa: N802
            status = common_pb2.Status(code=1, error_code=1, reason=reason, retriable=True)
            return milvus_pb2.ConnectResponse(status=status)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Unready(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_a_server_that_is_up_and_not_ready_is_told_as_that(unready_server: int) -> None:
    uri = f"http://127.0.0.1:{unready_server}"
    with vecbridge.get_backend("milvus", uri=uri, timeout=2) as store:
        with pytest.raises(ConnectionFailedError, match="up and not ready yet: service not") as why:
            store.index_names()
        assert why.value.retryable
        assert "Abnormal" in str(why.value)
        assert "does so now" not in str(why.value)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_of_the_environment_is_named_and_its_address_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for each in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, f"http://me:hunter2@127.0.0.1:{port}")
    uri = "http://127.0.0.1:19539"
    with vecbridge.get_backend("milvus", uri=uri, timeout=2) as store:
        with pytest.raises(ConnectionFailedError, match=f"variable {name} .*no_proxy") as why:
            store.index_names()
        assert "hunter2" not in str(why.value)
        monkeypatch.setenv("no_proxy", "localhost, 127.0.0.1")
        with pytest.raises(ConnectionFailedError, match="no server answers at"):
            store.index_names()


def test_no_server_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    error = told(f"http://127.0.0.1:{port}")
    assert isinstance(error, ConnectionFailedError)
    assert f"no server answers at 127.0.0.1:{port}" in str(error)
    assert "Start a Milvus server" in str(error)
    assert "uri='vectors.db'" in str(error)
    assert error.retryable


def test_a_host_that_is_not_known() -> None:
    error = told("http://no-such-host.invalid:19530")
    assert isinstance(error, ConnectionFailedError)
    assert "'no-such-host.invalid' is not known" in str(error)
    assert not error.retryable


def test_a_socket_file_that_no_server_listens_on(tmp_path: Path) -> None:
    error = told(f"unix:{tmp_path}/milvus.sock")
    assert f"no server answers at unix:{tmp_path}/milvus.sock" in str(error)
    assert error.retryable


def test_a_file_that_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "milvus.sock").write_text("")
    error = told(f"unix://{tmp_path}/milvus.sock")
    assert "no server answers at unix:" in str(error)
    assert "onnection refused" in str(error)


def test_a_socket_file_that_is_not_ours_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden(socket.socket):
        def connect(self, _address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)
    error = told(f"unix:{tmp_path}/milvus.sock")
    assert "this user may not connect to" in str(error)
    assert not error.retryable


def test_another_grpc_server_at_a_socket_file(tmp_path: Path) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_insecure_port(f"unix:{tmp_path}/other.sock")
    server.start()
    try:
        error = told(f"unix:{tmp_path}/other.sock")
    finally:
        server.stop(None).wait()
    assert f"a gRPC server answers at unix:{tmp_path}/other.sock, but it is no Milvus" in str(error)


def test_another_grpc_server(other_server: int) -> None:
    error = told(f"http://127.0.0.1:{other_server}")
    assert isinstance(error, ConnectionFailedError)
    assert "it is no Milvus" in str(error)
    assert not error.retryable


def test_a_listener_that_says_nothing() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        started = time.monotonic()
        error = told(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1)
        assert time.monotonic() - started < 4
    assert "still starting, or is no Milvus" in str(error)
    assert error.retryable
