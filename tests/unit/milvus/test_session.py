from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from vecbridge import InvalidArgumentError
from vecbridge_milvus import _session
from vecbridge_milvus._session import GRACE_S, Session

_NUMBERS = itertools.count(1_000_000)


def collection() -> str:
    return str(next(_NUMBERS))


def opened(name: str, *, address: str = "here") -> Session:
    return Session(name, address)


def word(session: Session, level: Any = "session", *, replicated: bool = False) -> str:
    with session.reading(level, lambda: replicated) as sent:
        return sent


def write(session: Session) -> None:
    with session.writing():
        pass


def test_levels_have_milvus_words() -> None:
    session = opened(collection())
    words = [word(session, level) for level in ("strong", "session", "bounded", "eventual")]
    assert words == ["Strong", "Session", "Bounded", "Eventually"]


def test_a_session_read_is_strong_until_one_has_looked_past_the_own_write() -> None:
    name = collection()
    writer, reader = opened(name), opened(name)
    write(writer)
    assert [word(reader) for _ in range(3)] == ["Strong", "Session", "Session"]


def test_a_write_that_failed_may_have_happened() -> None:
    session = opened(collection())
    with pytest.raises(TimeoutError), session.writing():
        raise TimeoutError
    assert word(session) == "Strong"


def test_a_read_that_failed_or_began_before_the_write_settles_nothing() -> None:
    session = opened(collection())
    write(session)
    with pytest.raises(TimeoutError), session.reading("session", bool):
        raise TimeoutError
    with session.reading("strong", bool), session.writing():
        pass
    assert word(session) == "Strong"


def test_weaker_reads_stay_weak_and_settle_nothing() -> None:
    session = opened(collection())
    write(session)
    assert word(session, "bounded") == "Bounded"
    assert word(session, "eventual") == "Eventually"
    assert word(session) == "Strong"


def test_collections_have_sessions_of_their_own() -> None:
    written, other = opened(collection()), opened(collection())
    write(written)
    assert word(other) == "Session"


def test_a_write_is_pending_at_every_address_until_it_was_seen_there() -> None:
    name = collection()
    here, there = opened(name), opened(name, address="there")
    write(here)
    assert [word(here), word(here)] == ["Strong", "Session"]
    assert [word(there), word(there)] == ["Strong", "Session"]


def test_replicas_are_asked_strongly_until_a_bounded_read_sees_the_write_on_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    session = opened(collection())
    assert word(session, replicated=True) == "Session"
    write(session)
    assert [word(session, replicated=True) for _ in range(3)] == ["Strong"] * 3
    now += GRACE_S
    assert word(session, replicated=True) == "Bounded"


def in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_session, "_ledgers", {})


def test_a_token_makes_the_next_session_read_of_another_process_strong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = collection()
    writer = opened(name)
    write(writer)
    first = writer.token()
    write(writer)
    second = writer.token()
    in_another_process(monkeypatch)
    reader = opened(name)
    assert word(reader) == "Session"
    reader.join(second)
    assert [word(reader), word(reader)] == ["Strong", "Session"]
    reader.join(second)
    reader.join(first)
    assert word(reader) == "Session"


def test_a_token_can_be_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    name = collection()
    writer = opened(name)
    write(writer)
    token = writer.token()
    in_another_process(monkeypatch)
    between = opened(name)
    between.join(token)
    token = between.token()
    in_another_process(monkeypatch)
    reader = opened(name)
    reader.join(token)
    assert word(reader) == "Strong"


def test_an_own_token_changes_nothing() -> None:
    session = opened(collection())
    write(session)
    word(session)
    session.join(session.token())
    assert word(session) == "Session"


def test_a_forked_process_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(collection())
    write(session)
    word(session)
    token = session.token()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    session.join(token)
    assert word(session) == "Strong"


@pytest.mark.parametrize(
    "token", ["", "x", "vecbridge-session-1", "vecbridge-session-1:1:2", "other-1:1:a.1:3"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"session_token\(\)"):
        opened(collection()).join(token)


FORKING = """
import os, signal, sys, threading, time
from vecbridge_milvus._session import Session

session, begun, end = Session("forked", "here"), threading.Event(), threading.Event()

def busy():
    with getattr(session, sys.argv[1])():
        begun.set()
        end.wait()

threading.Thread(target=busy).start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    started = time.monotonic()
    with session.writing():
        pass
    with session.paused():
        pass
    os._exit(time.monotonic() - started > 1)
_, status = os.waitpid(child, 0)
end.set()
sys.exit(status != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.parametrize("busy", ["writing", "paused"])
def test_a_child_does_not_wait_for_what_only_its_parent_does(busy: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, busy]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_token_of_another_collection_is_refused() -> None:
    token = opened(collection()).token()
    with pytest.raises(InvalidArgumentError, match="another index"):
        opened(collection()).join(token)
