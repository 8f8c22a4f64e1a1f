from __future__ import annotations

import logging
import sys
from typing import Any

import grpc
import pytest
from pymilvus.exceptions import MilvusException

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    InvalidArgumentError,
    OperationTimeoutError,
    VecbridgeError,
)
from vecbridge_milvus._errors import (
    NotLoadedError,
    OvertakenError,
    StillLoadingError,
    TooLargeError,
    boundary,
)
from vecbridge_milvus._pymilvus import load, quietly


class Refusal(grpc.RpcError):  # type: ignore[misc]
    """A gRPC error as it leaks from pymilvus."""

    def __init__(self, status: grpc.StatusCode, said: str = "what the server said") -> None:
        super().__init__()
        self._status = status
        self._said = said

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._said


def raised(error: Exception, operation: str = "upsert") -> Any:
    with pytest.raises(Exception) as caught, boundary(operation):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (grpc.StatusCode.UNAVAILABLE, ConnectionFailedError, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, OperationTimeoutError, True),
        (grpc.StatusCode.UNAUTHENTICATED, AuthenticationError, False),
        (grpc.StatusCode.PERMISSION_DENIED, AuthenticationError, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, TooLargeError, False),
        (grpc.StatusCode.UNIMPLEMENTED, BackendError, False),
    ],
)
def test_grpc_errors(status: Any, kind: type[BackendError], retryable: bool) -> None:
    error = raised(Refusal(status))
    assert type(error) is kind
    assert (error.backend, error.operation) == ("milvus", "upsert")
    assert error.retryable is retryable
    assert isinstance(error.__cause__, Refusal)


@pytest.mark.parametrize(
    ("code", "message", "kind", "retryable"),
    [
        (2, "nobody answers", ConnectionFailedError, True),
        (101, "collection not loaded", NotLoadedError, True),
        (65535, "collection not loaded[1]", NotLoadedError, True),
        (8, "rate limit exceeded", BackendError, True),
        (800, "database not found[database=x]", ConfigurationError, None),
        (503, "no available shard leaders", BackendError, True),
        (4, "too many concurrent requests, queue is full", BackendError, True),
        (9, "quota exceeded[reason=try again]", BackendError, False),
        (12, "resource insufficient", BackendError, True),
        (103, "collection not fully loaded", BackendError, True),
        (106, "collection on recovering", BackendError, True),
        (305, "replica: resource insufficient", BackendError, True),
        (505, "channel lag: stalled", BackendError, True),
        (507, "channel misrouted", BackendError, True),
        (2, "no available shard leader", BackendError, True),
        (65535, "no available node: query results exceed the limit size 100", TooLargeError, False),
        (65535, "exceed the maxOutputSize Limit 104857600", TooLargeError, False),
        (65535, "incomplete query result, missing id 7", OvertakenError, True),
        (65535, "Timestamp lag too large", BackendError, True),
        (65535, "context deadline exceeded", OperationTimeoutError, True),
        (1, "[search] Retry timeout: 3s", OperationTimeoutError, True),
        (1, "wait for loading collection timeout", StillLoadingError, True),
        (65535, "unrecoverable error", BackendError, True),
        (65535, "no such group: unrecoverable error", BackendError, False),
        (65535, "cannot parse expression", BackendError, False),
        (1100, "invalid parameter", BackendError, False),
    ],
)
def test_milvus_errors(
    code: int, message: str, kind: type[VecbridgeError], retryable: bool | None
) -> None:
    error = raised(MilvusException(code, message), "search")
    assert type(error) is kind
    assert getattr(error, "operation", "search") == "search"
    assert getattr(error, "retryable", None) is retryable
    assert message in str(error) or kind is OperationTimeoutError


@pytest.mark.parametrize(("code", "retryable"), [(65535, True), (1100, True), (9, False)])
def test_what_the_server_says_of_trying_again_is_believed(code: int, retryable: bool) -> None:
    if "retriable" not in MilvusException.__dict__:
        pytest.skip("this pymilvus does not tell")
    error = raised(MilvusException(code, "some new failure", retriable=True))
    assert error.retryable is retryable
    assert "Is the server running" not in str(error)


def test_a_leader_that_is_elected_is_not_a_server_that_is_down() -> None:
    said = str(raised(MilvusException(2, "no available shard leader")))
    assert "no available shard leader" in said
    assert "Is the server running" not in said


def test_a_collection_that_is_gone_is_an_index_not_found() -> None:
    assert isinstance(raised(MilvusException(100, "collection not found")), IndexNotFoundError)


def test_a_lite_newer_than_pymilvus_is_told_with_what_to_do() -> None:
    said = 'Protocol message ShowCollectionsResponse has no "shards_num" field.'
    assert "upgrade pymilvus" in str(raised(MilvusException(1, said), "index_names"))
    assert "upgrade" not in str(raised(MilvusException(1, "no such field"), "index_names"))


def test_a_code_that_is_a_method_is_read() -> None:
    error = MilvusException(message="not connected")
    for code in (2, grpc.StatusCode.UNAVAILABLE):
        error._code = lambda code=code: code
        assert isinstance(raised(error), ConnectionFailedError)


def test_a_connection_that_pymilvus_gave_up_on_is_a_connection_that_failed() -> None:
    error = MilvusException(1, "[search] Retry timeout: 30s")
    error.__cause__ = Refusal(grpc.StatusCode.UNAVAILABLE)
    assert isinstance(raised(error), ConnectionFailedError)


def test_an_error_that_was_raised_from_itself_is_translated() -> None:
    error = MilvusException(1100, "invalid parameter")
    error.__cause__ = error
    assert isinstance(raised(error), BackendError)


def test_a_limit_that_passes_is_no_message_too_large() -> None:
    refusal = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "rate limit exceeded, retry later")
    error = raised(refusal)
    assert type(error) is BackendError
    assert error.retryable


@pytest.mark.parametrize("error", [InvalidArgumentError("ours"), KeyError("a defect")])
def test_our_own_errors_and_defects_pass_unchanged(error: Exception) -> None:
    assert raised(error) is error


def test_what_the_system_raises_is_the_stores_failure() -> None:
    assert isinstance(raised(OSError("disk full")), BackendError)
    reset = raised(ConnectionResetError("reset by peer"))
    assert reset.retryable
    assert reset.operation == "upsert"


def test_a_closed_channel_is_a_connection_that_failed() -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        call = channel.unary_unary("/service/method")
    with pytest.raises(ConnectionFailedError) as caught, boundary("search"):
        call(b"")
    assert caught.value.retryable


def test_what_pymilvus_stumbles_over_is_the_stores_failure() -> None:
    from pymilvus.client.utils import check_status

    expected = pytest.raises(BackendError, match="could not count: AttributeError")
    with expected as caught, boundary("count"):
        check_status(None)
    assert not caught.value.retryable


def test_only_what_is_logged_inside_stays_off_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    logger = logging.getLogger("pymilvus.decorators")
    # pytest adds handlers of its own; the first is the one that pymilvus came with.
    handler = logging.getLogger("pymilvus").handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", sys.stderr)
    with quietly() as causes:
        try:
            raise OSError("muffled")
        except OSError:
            logger.exception("muffled")
        assert {str(cause) for cause in causes} == {"muffled"}
    logger.error("audible")
    written = capsys.readouterr().err
    assert "audible" in written
    assert "muffled" not in written
