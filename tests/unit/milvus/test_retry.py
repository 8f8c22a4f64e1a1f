from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from vecbridge import BackendError, ConnectionFailedError, OperationTimeoutError
from vecbridge_milvus import MilvusSettings
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import NotLoadedError, StillLoadingError
from vecbridge_milvus._retry import Patience


def failure(kind: type[BackendError] = ConnectionFailedError, *, passes: bool = True) -> Any:
    return kind("gone", backend="milvus", operation="count", retryable=passes)


class Reached(Connection):
    """A connection that nobody has to answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MilvusSettings.model_validate(options))
        self._client: Any = object()
        self._reached = True


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (0, failure()),
        (9, failure(passes=False)),
        (9, failure(OperationTimeoutError)),
    ],
)
def test_what_is_useless_to_try_again_is_raised_at_once(
    seconds: float, error: BackendError
) -> None:
    started = time.monotonic()
    with pytest.raises(BackendError) as caught:
        Patience(seconds, "count").pause(error)
    assert caught.value is error
    assert time.monotonic() - started < 0.5


def test_a_load_is_waited_for_longer_than_one_call_may_take() -> None:
    def step(_client: object, attempt: int) -> str:
        if attempt < 3:
            raise failure(StillLoadingError)
        return "loaded"

    assert Reached(retry_timeout=9).trying("count", step) == "loaded"


def test_patience_ends_with_what_it_waited_for() -> None:
    attempts: list[int] = []

    def step(_client: object, attempt: int) -> None:
        attempts.append(attempt)
        raise failure(NotLoadedError)

    started = time.monotonic()
    with pytest.raises(NotLoadedError, match=r"gone \(tried again for 0.3 s") as caught:
        Reached(retry_timeout=0.3).trying("count", step)
    assert 0.3 <= time.monotonic() - started < 2
    assert 4 <= len(attempts) <= 9
    assert caught.value.retryable
    assert caught.value.operation == "count"


def test_a_long_wait_is_told_once_and_a_short_one_not(caplog: pytest.LogCaptureFixture) -> None:
    short = Patience(60, "count")
    for _ in range(3):
        short.pause(failure())
    short.rewarded()
    assert not _told(caplog)
    long = Patience(3, "count")
    for _ in range(6):
        long.pause(failure())
    long.rewarded()
    assert [record.levelno for record in _told(caplog)] == [logging.WARNING] * 2
    assert "gone - trying again, for up to" in caplog.text
    assert "count went on after" in caplog.text


def _told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What ours said; other libraries' threads may be talking too."""
    return [record for record in caplog.records if record.name.startswith("vecbridge")]


def test_a_step_is_done_again_until_it_works() -> None:
    attempts: list[int] = []
    mended: list[BackendError] = []

    def step(_client: object, attempt: int) -> str:
        attempts.append(attempt)
        if attempt < 3:
            raise failure(NotLoadedError)
        return "done"

    assert Reached().trying("count", step, mended.append) == "done"
    assert attempts == [0, 1, 2, 3]
    assert len(mended) == 3


def test_a_defect_is_not_tried_again() -> None:
    attempts = []

    def step(_client: object, attempt: int) -> None:
        attempts.append(attempt)
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        Reached().trying("count", step)
    assert attempts == [0]
