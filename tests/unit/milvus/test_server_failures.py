"""What newer servers say when they fail: the words of their sources, and what a user is told.

No server above 2.3.5 can be had from a package registry. The codes, the words, and whether the
server calls a failure retriable are those of ``pkg/util/merr`` and what uses it, from 2.3 to 3.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus.exceptions import MilvusException

import vecbridge
from tests.servers.milvus_wire import Wire
from vecbridge import Index, PartialWriteError, Store, VecbridgeError

NOT_READY = "service not ready[proxy=7]: state code: Abnormal"
STANDBY = (
    "code: STREAMING_CODE_REPLICATE_VIOLATION, cause: non-replicate message cannot be received in "
    "secondary role"
)

# Code, words, whether the server calls it retriable; then the error, whether it is tried again, and
# what a person is told to do.
FAILURES: list[tuple[int, str, bool, str, bool | None, str]] = [
    (1, NOT_READY, True, "BackendError", True, "/healthz on port 9091"),
    (2, "service unavailable", True, "ConnectionFailedError", True, "Is the server running?"),
    (3, "memory limit exceeded[predict=9][limit=8]", False, "BackendError", False, "mmap=True"),
    (4, "request limit exceeded: queue is full", True, "BackendError", True, ""),
    (5, "service internal error", False, "BackendError", False, ""),
    (6, "cross cluster routing[expectedCluster=a]", False, "BackendError", False, "load balancer"),
    (7, "disk limit exceeded[predict=9]", False, "BackendError", False, "delete records"),
    (9, "quota exceeded[reason=memory quota exceeded, please allocate more resources]", False,
     "BackendError", False, "memory that the server may use is full"),
    (9, "quota exceeded[reason=disk quota exceeded, please allocate more resources]", False,
     "BackendError", False, "disk that the server may use is full"),
    (9, "quota exceeded[reason=access has been disabled by the administrator]", False,
     "BackendError", False, "administrator has turned this kind of call off"),
    (9, "quota exceeded[reason=rate type: DMLInsert]", False, "BackendError", False, "quotaAndL"),
    (10, "service unimplemented", False, "BackendError", False, ""),
    (11, "time tick long delay", False, "BackendError", False, "behind with its log"),
    (12, "service resource insufficient", True, "BackendError", True, "fewer replicas"),
    (100, "collection not found[collection=x]", False, "IndexNotFoundError", None, ""),
    (101, "collection not loaded[collection=1]", False, "BackendError", True, ""),
    (102, "exceeded the limit number of collections[limit=65536]", False, "BackendError", False,
     "Drop what is not needed"),
    (103, "collection not fully loaded[collection=1]", True, "BackendError", True, ""),
    (106, "collection on recovering[collection=1]", True, "BackendError", True, ""),
    (109, "collection schema mismatch[collection=x]", False, "BackendError", False, "open it agai"),
    (201, "partition not loaded[partition=1]", False, "BackendError", True, ""),
    (202, "partition not fully loaded[partition=1]", True, "BackendError", True, ""),
    (305, "resource group service available", True, "BackendError", True, "query nodes"),
    (401, "replica not available", False, "BackendError", True, ""),
    (503, "channel not available[channel=dml_0]", False, "BackendError", True, ""),
    (505, "channel lag: stalled[lag=30s]", True, "BackendError", True, ""),
    (507, "channel misrouted", True, "BackendError", True, ""),
    (604, "segment load failed: OOM if load", False, "BackendError", False, "mmap=True"),
    (700, "index not found[field=vector]", False, "BackendError", False, ""),
    (800, "database not found[database=x]", False, "ConfigurationError", None, "Correct the sett"),
    (901, "node not found[node=3]", False, "BackendError", True, ""),
    (902, "node offline[node=3]", False, "BackendError", True, ""),
    (1000, "key not found", False, "BackendError", False, ""),
    (1001, "IO failed", False, "BackendError", False, ""),
    (1002, "unexpected EOF", True, "BackendError", True, ""),
    (1100, "invalid parameter[expected=valid expr]", False, "BackendError", False, ""),
    (1401, "privilege not permitted[Query]", False, "AuthenticationError", False, "a role"),
    (1807, "request is rejected by limiter", True, "BackendError", True, "more records each"),
    (2000, "segcore error", False, "BackendError", False, ""),
    (2200, "inconsistent requery result", True, "BackendError", True, ""),
    (3000, "unsupported operation", False, "BackendError", False, ""),
    (65535, "fieldSchema(n) has no corresponding fieldData pass in", False, "BackendError", False,
     "open it again"),
    (65535, "a failure of a server to come", True, "BackendError", True, ""),
]  # fmt: skip


@pytest.mark.skipif("retriable" not in MilvusException.__dict__, reason="pymilvus does not tell")
@pytest.mark.parametrize(
    ("code", "said", "retriable", "kind", "retryable", "told"),
    FAILURES,
    ids=[f"{row[0]}-{row[1][:30]}" for row in FAILURES],
)
def test_a_failure_is_told_as_what_it_is(
    make_index: Callable[..., Index],
    wire: Wire,
    code: int,
    said: str,
    retriable: bool,
    kind: str,
    retryable: bool | None,
    told: str,
) -> None:
    index = make_index(dimension=2)
    wire.fail("Query", (code, said, retriable))
    with pytest.raises(VecbridgeError) as caught:
        index.count()
    error: Any = caught.value
    print(f"| {code} | {kind} | {'again' if retryable else 'final'} | {error} |")
    assert isinstance(error, getattr(vecbridge, kind))
    assert getattr(error, "retryable", None) is retryable
    assert told in str(error)


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [(65535, STANDBY, "This cluster is a standby"), (8, "rate limit exceeded[rate=1]", "fewer of")],
)
def test_what_pymilvus_asks_again_for_keeps_its_reason(
    opened: Callable[..., Store], wire: Wire, code: int, said: str, told: str
) -> None:
    index = opened(timeout=1).open_or_create_index("asked_again", dimension=2)
    wire.fail("Upsert", *[(code, said, False)] * 99)
    with pytest.raises(vecbridge.BackendError, match=told) as caught:
        index.upsert(["a"], [[1, 2]])
    print(f"| {code} | {caught.value} |")
    assert caught.value.retryable is (code == 8)


@pytest.mark.parametrize(
    ("code", "said"),
    [(8, "rate limit exceeded[rate=1]"), (9, "quota exceeded[reason=x]"), (2200, "a failure")],
)
def test_a_pymilvus_that_does_not_pass_the_servers_word_on_leaves_the_table(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    index = store.create_index(f"old_{code}", dimension=2)

    class Old(MilvusException):  # type: ignore[misc]
        retriable = property()

    def query(*_arguments: Any, **_options: Any) -> Any:
        raise Old(code, said)

    monkeypatch.setattr(store.backend.client, "query", query)  # type: ignore[attr-defined]
    with pytest.raises(vecbridge.BackendError) as caught:
        index.count()
    assert caught.value.retryable is (code == 8)


def test_searches_and_pages_shrink_to_what_a_server_admits(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=2, consistency="eventual")
    ids = [f"{number:02}" for number in range(30)]
    index.upsert(ids, [[number, 1] for number in range(30)])
    wire.clear()
    few = "nq [30] is invalid, nq (number of search vector per search request) should be in range "
    wire.fail("Search", (65535, f"{few}[1, 10], but got 30", False))
    found = index.search([[number, 1] for number in range(30)], 1, ranking="native")
    assert [hits.ids[0] for hits in found] == ids
    assert [request.nq for request in wire.requests("Search")] == [30, 10, 10, 10]
    wire.clear()
    window = "invalid max query result window, (offset+limit) should be in range [1, 7], but got 30"
    wire.fail("Query", (65535, window, False))
    assert [key for records in index.scan(30) for key in records.ids] == ids
    limits = [
        pair.value
        for request in wire.requests("Query")
        for pair in request.query_params
        if pair.key == "limit"
    ]
    assert limits[0] != "7"
    assert set(limits[1:]) == {"7"}


def test_fewer_hits_than_a_caller_asks_for_are_not_called_all(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=2)
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    said = "topk [2000] is invalid, it should be in range [1, 1024], but got 2000"
    wire.fail("Search", (65535, said, False))
    with pytest.raises(vecbridge.BackendError, match=r"\[1, 1024\].* ask for a smaller k"):
        index.search([1, 2], 2000, ranking="native")


def test_a_full_server_says_what_it_has_taken(
    make_index: Callable[..., Index], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecbridge_milvus._index._BATCH_ROWS", 2)
    index = make_index(dimension=2)
    full = "quota exceeded[reason=disk quota exceeded, please allocate more resources]"
    real = iter([None, full])

    def change(reply: Any) -> None:
        said = next(real)
        if said:
            reply.status.code, reply.status.reason, reply.status.error_code = 9, said, 1

    wire.edit("Upsert", change)
    with pytest.raises(PartialWriteError, match=r"2 of 4 .*is full") as why:
        index.upsert(["a", "b", "c", "d"], [[1, 2]] * 4)
    assert not why.value.retryable
    assert why.value.written == ("a", "b")


def test_a_column_that_came_since_is_not_made_null(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    wire.changed = 7
    index = make_index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    # Something else than the columns was changed.
    wire.changed = 8
    index.upsert(["b"], [[1, 2]])
    assert [request.schema_timestamp for request in wire.requests("Upsert")][-1] == 8
    assert index.count() == 2

    def change(reply: Any) -> None:
        reply.schema.fields.add(name="note", data_type=21, nullable=True)

    wire.changed = 9
    wire.edit("DescribeCollection", change)
    with pytest.raises(vecbridge.BackendError, match=r"has changed the columns .* open it again"):
        index.upsert(["a"], [[3, 4]])
    assert index.fetch(["a"]).vectors.tolist() == [[1, 2]]
