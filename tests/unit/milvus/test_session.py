"""Sessions: how fresh a read asks the server to be, by what this process and others wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.milvus_wire import Wire
from vecbridge import BackendError, Consistency, Index, InvalidArgumentError, Store
from vecbridge_milvus import MilvusIndex

LEVELS: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")
PEER = """
import sys
import vecbridge

uri, name, *tokens = sys.argv[1:]
with vecbridge.get_backend("milvus", uri=uri, timeout=5) as store:
    index = store.open_index(name)
    for token in tokens:
        index.engine.join_session(token)
    if not tokens:
        index.upsert(["theirs"], [[1, 2]])
    print(index.engine.session_token())
    index.upsert(["later"], [[1, 2]])
    print(index.engine.session_token())
"""


class Session:
    """Return the levels that an index asks the server for."""

    def __init__(self, wire: Wire, index: Index) -> None:
        self._wire = wire
        self.index = index

    @property
    def engine(self) -> MilvusIndex:
        assert isinstance(self.index.engine, MilvusIndex)
        return self.index.engine

    def word(self, level: Consistency = "session") -> str:
        """Milvus's word for the level of a read; of one that names a moment, whether it is new."""
        from pymilvus.grpc_gen import common_pb2

        asked, before = len(self._wire.requests("AllocTimestamp")), len(self._wire.calls)
        self.index.contains(["a"], consistency=level)
        queries = [sent for name, sent in self._wire.calls[before:] if name == "Query"]
        (word,) = {common_pb2.ConsistencyLevel.Name(each.consistency_level) for each in queries}
        if word != "Customized":
            return str(word)
        assert len({each.guarantee_timestamp for each in queries}) == 1
        return "now" if len(self._wire.requests("AllocTimestamp")) > asked else "as seen"

    def write(self) -> None:
        self.index.upsert(["a"], [[1, 2]])


@pytest.fixture
def session(wire: Wire, make_index: Callable[..., Index]) -> Session:
    return Session(wire, make_index(dimension=2))


def again(session: Session, wire: Wire, store: Store) -> Session:
    """The same collection, opened once more."""
    return Session(wire, store.open_index(session.index.info.name))


def test_levels_have_milvus_words(session: Session) -> None:
    assert [session.word(level) for level in LEVELS] == [
        "now",
        "Session",
        "Bounded",
        "Eventually",
    ]


def test_a_session_read_is_strong_until_one_has_looked_past_the_own_write(
    session: Session, wire: Wire, store: Store
) -> None:
    reader = again(session, wire, store)
    session.write()
    assert [reader.word() for _ in range(3)] == ["now", "as seen", "as seen"]


def test_a_write_that_failed_may_have_happened(session: Session, wire: Wire) -> None:
    session.word()
    wire.fail("Upsert", (1100, "invalid parameter"))
    with pytest.raises(BackendError):
        session.write()
    assert session.word() == "now"


def test_a_read_that_failed_settles_nothing(session: Session, wire: Wire) -> None:
    session.write()
    wire.fail("Query", (1100, "invalid parameter"))
    with pytest.raises(BackendError):
        session.index.count()
    assert session.word() == "now"


def test_a_read_that_began_before_the_write_settles_nothing(session: Session) -> None:
    session.index.upsert(["a", "b"], [[1, 2], [3, 4]])
    batches = session.index.scan(1, consistency="strong")
    assert next(batches).ids == ("a",)
    session.write()
    assert len(list(batches)) == 1
    assert session.word() == "now"


def test_weaker_reads_stay_weak_and_settle_nothing(session: Session) -> None:
    session.write()
    words = [session.word(level) for level in ("bounded", "eventual", "session")]
    assert words == ["Bounded", "Eventually", "now"]


def test_collections_have_sessions_of_their_own(
    session: Session, wire: Wire, make_index: Callable[..., Index]
) -> None:
    session.write()
    assert Session(wire, make_index(dimension=2)).word() == "Session"


def test_a_write_is_pending_at_every_address_until_it_was_seen_there(
    session: Session, wire: Wire, opened: Callable[..., Store]
) -> None:
    there = again(session, wire, opened(uri=wire.uri.replace("127.0.0.1", "localhost")))
    session.write()
    assert [session.word(), session.word()] == ["now", "as seen"]
    assert [there.word(), there.word()] == ["now", "as seen"]


def test_a_server_that_does_not_tell_its_time_is_asked_strongly(
    session: Session, wire: Wire
) -> None:
    from pymilvus.grpc_gen import milvus_pb2

    wire.edit("AllocTimestamp", milvus_pb2.AllocTimestampResponse.Clear)
    session.write()
    assert [session.word() for _ in range(3)] == ["Strong"] * 3


def peer(session: Session, wire: Wire, *tokens: str) -> list[str]:
    """The tokens of another process, before and after its last write."""
    command = [sys.executable, "-W", "ignore", "-c", PEER, wire.uri, session.index.info.name]
    done = subprocess.run(
        [*command, *tokens], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_token_makes_the_next_session_read_of_another_process_strong_and_can_be_handed_on(
    session: Session, wire: Wire
) -> None:
    first, second = peer(session, wire)
    assert session.word() == "Session"
    session.engine.join_session(second)
    assert [session.word(), session.word()] == ["now", "as seen"]
    session.engine.join_session(second)
    session.engine.join_session(first)
    assert session.word() == "as seen"
    handed_on, _ = peer(session, wire, second)
    session.engine.join_session(handed_on)
    assert session.word() == "now"


def test_an_own_token_changes_nothing(session: Session) -> None:
    session.write()
    session.word()
    session.engine.join_session(session.engine.session_token())
    assert session.word() == "as seen"


def test_a_forked_process_is_another_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.write()
    session.word()
    token = session.engine.session_token()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    session.engine.join_session(token)
    assert session.word() == "now"


@pytest.mark.parametrize(
    "token", ["", "x", "vecbridge-session-1", "vecbridge-session-1:1:2", "other-1:1:a.1:3"]
)
def test_what_is_no_token_is_refused(session: Session, token: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"session_token\(\)"):
        session.engine.join_session(token)


def test_a_token_of_another_collection_is_refused(
    session: Session, make_index: Callable[..., Index]
) -> None:
    other: Any = make_index(dimension=2).engine
    with pytest.raises(InvalidArgumentError, match="another index"):
        session.engine.join_session(other.session_token())
