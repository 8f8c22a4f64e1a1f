"""Stores on a real Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

import vecbridge
from vecbridge import Store

Opener = Callable[..., Store]


@pytest.fixture
def raw(redis_uri: str) -> Iterator[redis.Redis]:
    """A client past vecbridge."""
    with redis.Redis.from_url(redis_uri, protocol=3) as client:
        yield client


@pytest.fixture
def name(raw: redis.Redis) -> Iterator[str]:
    """A name of this test's own; indexes and keys that begin with it go at the end."""
    own = f"test_{uuid.uuid4().hex[:12]}"
    yield own
    for found in raw.execute_command("FT._LIST"):  # type: ignore[no-untyped-call]
        if found.decode().startswith(own):
            raw.execute_command("FT.DROPINDEX", found, "DD")  # type: ignore[no-untyped-call]
    for key in raw.scan_iter(match=f"*{own}*", count=10_000):
        raw.delete(key)


@pytest.fixture
def opened(redis_uri: str) -> Iterator[Opener]:
    """Opens stores, and closes them at the end."""
    with ExitStack() as stack:

        def opener(**options: Any) -> Store:
            given = {"uri": redis_uri, **options}
            return stack.enter_context(vecbridge.get_backend("redis", **given))

        yield opener
