"""Trying again: what passes by itself costs the caller a pause, not an error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from pymilvus.exceptions import MilvusException

from vecbridge import BackendError, Index, OperationTimeoutError, Store
from vecbridge_milvus import MilvusBackend

AWAY = MilvusException(503, "no available shard leader")
BROKEN = MilvusException(1100, "invalid parameter")
LATE = MilvusException(65535, "context deadline exceeded")
LOADING = MilvusException(1, "wait for loading collection timeout")


class Client:
    """pymilvus's client behind an index; its queries fail as a test says, then work."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.index: Index = store.open_or_create_index(
            "retried", dimension=2, consistency="eventual"
        )
        assert self.index.count() == 0
        assert isinstance(store.backend, MilvusBackend)
        self.failures: list[Exception] = []
        self.attempts = 0
        self._query = store.backend.client.query
        monkeypatch.setattr(store.backend.client, "query", self.query)

    def query(self, *arguments: Any, **options: Any) -> Any:
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        return self._query(*arguments, **options)


@pytest.fixture
def client(
    opened: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], Client]:
    def get(retry_timeout: float) -> Client:
        return Client(opened(retry_timeout=retry_timeout), monkeypatch)

    return get


@pytest.mark.parametrize(("seconds", "error"), [(0, AWAY), (9, BROKEN), (9, LATE)])
def test_what_is_useless_to_try_again_is_raised_at_once(
    client: Callable[[float], Client], seconds: float, error: Exception
) -> None:
    asked = client(seconds)
    asked.failures = [error] * 2
    started = time.monotonic()
    with pytest.raises(BackendError) as caught:
        asked.index.count()
    assert caught.value.__cause__ is error
    assert asked.attempts == 1
    assert time.monotonic() - started < 2


def test_a_load_is_waited_for_longer_than_one_call_may_take(
    client: Callable[[float], Client],
) -> None:
    asked = client(9)
    asked.failures = [LOADING] * 3
    assert asked.index.count() == 0
    assert asked.attempts == 4


def test_retries_end_with_what_they_waited_for(client: Callable[[float], Client]) -> None:
    asked = client(0.3)
    asked.failures = [AWAY] * 99
    started = time.monotonic()
    with pytest.raises(BackendError, match=r"tried again for 0.3 s, the setting retry_") as caught:
        asked.index.count()
    assert 0.3 <= time.monotonic() - started < 5
    assert 2 <= asked.attempts <= 9
    assert caught.value.retryable
    assert caught.value.operation == "count"


def test_the_error_that_is_left_is_of_the_same_kind(client: Callable[[float], Client]) -> None:
    asked = client(0.1)
    asked.failures = [LOADING] * 99
    with pytest.raises(OperationTimeoutError, match="tried again for"):
        asked.index.count()


def test_a_long_wait_is_told_once_and_a_short_one_not(
    client: Callable[[float], Client], caplog: pytest.LogCaptureFixture
) -> None:
    asked = client(60)
    asked.failures = [AWAY] * 3
    asked.index.count()
    assert not _told(caplog)
    asked.failures = [AWAY] * 7
    asked.index.count()
    assert [record.levelno for record in _told(caplog)] == [logging.WARNING] * 2
    assert "trying again, for up to" in caplog.text
    assert "count went on after" in caplog.text


def _told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return our own log messages; other libraries' threads may be talking too."""
    return [record for record in caplog.records if record.name.startswith("vecbridge")]


def test_a_defect_is_not_tried_again(client: Callable[[float], Client]) -> None:
    asked = client(9)
    asked.failures = [KeyError("a defect")]
    with pytest.raises(KeyError):
        asked.index.count()
    assert asked.attempts == 1
