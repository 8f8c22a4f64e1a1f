from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pymilvus.exceptions import MilvusException

import vecbridge
from tests.servers.milvus_wire import Wire
from vecbridge import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    Index,
    IndexNotFoundError,
    InvalidArgumentError,
    OperationTimeoutError,
    Store,
    VecbridgeError,
)
from vecbridge_milvus import MilvusBackend


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


Raised = Callable[[Exception | Callable[[], object]], Any]


def public(error: Exception) -> type[Exception]:
    """The type of an error as callers know it."""
    found: type[Exception] = next(
        kind for kind in type(error).__mro__ if getattr(vecbridge, kind.__name__, 0) is kind
    )
    return found


@pytest.fixture
def raised(
    store: Store, make_index: Callable[..., Index], monkeypatch: pytest.MonkeyPatch
) -> Raised:
    """Return the error that a count raises where a call of pymilvus's client does."""
    index = make_index(dimension=2)
    assert isinstance(store.backend, MilvusBackend)
    client = store.backend.client

    def raised(error: Exception | Callable[[], object]) -> Any:
        def query(*_arguments: Any, **_options: Any) -> Any:
            if isinstance(error, Exception):
                raise error
            return error()

        monkeypatch.setattr(client, "query", query)
        with pytest.raises(Exception) as caught:
            index.count()
        return caught.value

    return raised


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (grpc.StatusCode.UNAVAILABLE, ConnectionFailedError, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, OperationTimeoutError, True),
        (grpc.StatusCode.UNAUTHENTICATED, AuthenticationError, False),
        (grpc.StatusCode.PERMISSION_DENIED, AuthenticationError, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, BackendError, False),
        (grpc.StatusCode.UNIMPLEMENTED, BackendError, False),
    ],
)
def test_grpc_errors(
    raised: Raised, status: Any, kind: type[BackendError], retryable: bool
) -> None:
    error = raised(Refusal(status))
    assert public(error) is kind
    assert (error.backend, error.operation) == ("milvus", "count")
    assert error.retryable is retryable
    assert isinstance(error.__cause__, Refusal)


@pytest.mark.parametrize(
    ("code", "message", "kind", "retryable"),
    [
        (2, "no server answers", ConnectionFailedError, True),
        (101, "collection not loaded", BackendError, True),
        (65535, "collection not loaded[1]", BackendError, True),
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
        (65535, "no available node: query results exceed the limit size 100", BackendError, False),
        (65535, "exceed the maxOutputSize Limit 104857600", BackendError, False),
        (65535, "incomplete query result, missing id 7", BackendError, True),
        (65535, "Timestamp lag too large", BackendError, True),
        (65535, "context deadline exceeded", OperationTimeoutError, True),
        (1, "[search] Retry timeout: 3s", OperationTimeoutError, True),
        (1, "wait for loading collection timeout", OperationTimeoutError, True),
        (65535, "unrecoverable error", BackendError, True),
        (65535, "no such group: unrecoverable error", BackendError, False),
        (65535, "cannot parse expression", BackendError, False),
        (1100, "invalid parameter", BackendError, False),
    ],
)
def test_milvus_errors(
    raised: Raised, code: int, message: str, kind: type[VecbridgeError], retryable: bool | None
) -> None:
    error = raised(MilvusException(code, message))
    assert public(error) is kind
    assert getattr(error, "operation", "count") == "count"
    assert getattr(error, "retryable", None) is retryable
    assert message in str(error) or kind is OperationTimeoutError


@pytest.mark.parametrize(("code", "retryable"), [(65535, True), (1100, True), (9, False)])
def test_what_the_server_says_of_trying_again_is_believed(
    raised: Raised, code: int, retryable: bool
) -> None:
    if "retriable" not in MilvusException.__dict__:
        pytest.skip("this pymilvus does not tell")
    error = raised(MilvusException(code, "some new failure", retriable=True))
    assert error.retryable is retryable
    assert "Is the server running" not in str(error)


def test_a_leader_that_is_elected_is_not_a_server_that_is_down(raised: Raised) -> None:
    said = str(raised(MilvusException(2, "no available shard leader")))
    assert "no available shard leader" in said
    assert "Is the server running" not in said


def test_a_collection_that_is_gone_is_an_index_not_found(raised: Raised) -> None:
    assert isinstance(raised(MilvusException(100, "collection not found")), IndexNotFoundError)


def test_a_lite_newer_than_pymilvus_is_told_with_what_to_do(raised: Raised) -> None:
    said = 'Protocol message ShowCollectionsResponse has no "shards_num" field.'
    assert "upgrade pymilvus" in str(raised(MilvusException(1, said)))
    assert "upgrade" not in str(raised(MilvusException(1, "no such field")))


def test_a_code_that_is_a_method_is_read(raised: Raised) -> None:
    error = MilvusException(message="not connected")
    for code in (2, grpc.StatusCode.UNAVAILABLE):
        error._code = lambda code=code: code
        assert isinstance(raised(error), ConnectionFailedError)


def test_a_connection_that_pymilvus_gave_up_on_is_a_connection_that_failed(raised: Raised) -> None:
    error = MilvusException(1, "[search] Retry timeout: 30s")
    error.__cause__ = Refusal(grpc.StatusCode.UNAVAILABLE)
    assert isinstance(raised(error), ConnectionFailedError)


def test_an_error_that_was_raised_from_itself_is_translated(raised: Raised) -> None:
    error = MilvusException(1100, "invalid parameter")
    error.__cause__ = error
    assert isinstance(raised(error), BackendError)


def test_a_limit_that_passes_is_no_message_too_large(raised: Raised) -> None:
    refusal = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "rate limit exceeded, retry later")
    error = raised(refusal)
    assert public(error) is BackendError
    assert error.retryable


@pytest.mark.parametrize("error", [InvalidArgumentError("ours"), KeyError("a defect")])
def test_our_own_errors_and_defects_pass_unchanged(raised: Raised, error: Exception) -> None:
    assert raised(error) is error


def test_what_the_system_raises_is_the_stores_failure(raised: Raised) -> None:
    assert isinstance(raised(OSError("disk full")), BackendError)
    reset = raised(ConnectionResetError("reset by peer"))
    assert reset.retryable
    assert reset.operation == "count"


def test_a_closed_channel_is_a_connection_that_failed(raised: Raised) -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        call = channel.unary_unary("/service/method")
    error = raised(lambda: call(b""))
    assert public(error) is ConnectionFailedError
    assert error.retryable


def test_what_pymilvus_stumbles_over_is_the_stores_failure(raised: Raised) -> None:
    import pymilvus.client.utils

    check_status: Any = pymilvus.client.utils.check_status
    error = raised(lambda: check_status(None))
    assert public(error) is BackendError
    assert "could not count: AttributeError" in str(error)
    assert not error.retryable


def test_only_what_is_logged_inside_stays_off_the_terminal(
    raised: Raised, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("pymilvus.decorators")
    # pytest adds handlers of its own; the first is the one that pymilvus came with.
    handler = logging.getLogger("pymilvus").handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", sys.stderr)

    def fail() -> None:
        try:
            raise OSError("muffled")
        except OSError:
            logger.exception("muffled")
            raise

    assert "muffled" in str(raised(fail))
    logger.error("audible")
    written = capsys.readouterr().err
    assert "audible" in written
    assert "muffled" not in written


def test_a_message_that_is_too_large_is_sent_in_parts(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=2)
    wire.fail("Upsert", grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    index.upsert([f"{number}" for number in range(10)], [[1, 2]] * 10)
    assert [request.num_rows for request in wire.requests("Upsert")] == [10, 5, 2, 2, 2, 2, 2]
    assert index.count() == 10


def test_an_answer_that_is_too_large_is_asked_for_in_parts(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=2, consistency="eventual")
    ids = [f"{number}" for number in range(10)]
    index.upsert(ids, [[1, 2]] * 10)
    reads: list[Callable[[], int]] = [
        lambda: len(index.fetch(ids)),
        lambda: int(index.contains(ids).sum()),
    ]
    for read in reads:
        wire.clear()
        wire.fail("Query", *[(65535, "query results exceed the limit size 100")] * 9)
        assert read() == 10
        # Of 2000 ids at a time, 3 are left after nine halvings.
        assert len(wire.requests("Query")) == 9 + 4


def test_what_is_not_loaded_is_loaded(opened: Callable[..., Store], wire: Wire) -> None:
    index = opened(retry_timeout=9).create_index("unloaded", dimension=2)
    index.upsert(["a"], [[1, 2]])
    assert index.count() == 1
    wire.clear()
    wire.fail("Query", (101, "collection not loaded"))
    assert index.count() == 1
    assert wire.requests("GetLoadState")


@pytest.mark.parametrize(
    "said", ["incomplete query result, missing id 7", "wait for loading collection timeout"]
)
def test_what_passes_by_itself_is_tried_again(
    opened: Callable[..., Store], wire: Wire, said: str
) -> None:
    store = opened(retry_timeout=9)
    index = store.open_or_create_index("passing", dimension=2)
    index.upsert(["a"], [[1, 2]])
    wire.fail("Query", (65535, said))
    assert index.count() == 1
