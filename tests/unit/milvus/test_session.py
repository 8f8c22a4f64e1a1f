from __future__ import annotations

import itertools

import pytest

from vecbridge_milvus._session import Session

_NUMBERS = itertools.count(1_000_000)


def word(session: Session, level: str) -> str:
    with session.reading(level) as sent:  # type: ignore[arg-type]
        return sent


def test_levels_have_milvus_words() -> None:
    session = Session(next(_NUMBERS))
    words = [word(session, level) for level in ("strong", "session", "bounded", "eventual")]
    assert words == ["Strong", "Session", "Bounded", "Eventually"]


def test_a_session_read_is_strong_until_one_has_looked_past_the_own_write() -> None:
    number = next(_NUMBERS)
    writer, reader = Session(number), Session(number)
    with writer.writing():
        pass
    assert [word(reader, "session") for _ in range(3)] == ["Strong", "Session", "Session"]


def test_a_write_that_failed_may_have_happened() -> None:
    session = Session(next(_NUMBERS))
    with pytest.raises(TimeoutError), session.writing():
        raise TimeoutError
    assert word(session, "session") == "Strong"


def test_a_read_that_failed_or_began_before_the_write_settles_nothing() -> None:
    session = Session(next(_NUMBERS))
    with session.writing():
        pass
    with pytest.raises(TimeoutError), session.reading("session"):
        raise TimeoutError
    with session.reading("strong"), session.writing():
        pass
    assert word(session, "session") == "Strong"


def test_weaker_reads_stay_weak_and_settle_nothing() -> None:
    session = Session(next(_NUMBERS))
    with session.writing():
        pass
    assert word(session, "bounded") == "Bounded"
    assert word(session, "eventual") == "Eventually"
    assert word(session, "session") == "Strong"


def test_collections_have_sessions_of_their_own() -> None:
    written, other = Session(next(_NUMBERS)), Session(next(_NUMBERS))
    with written.writing():
        pass
    assert word(other, "session") == "Session"
