"""A Redis with ``appendfsync always`` that is killed loses nothing that it acknowledged."""

from __future__ import annotations

import pytest

import vecbridge
from tests.servers.killing import killed_in_ingest
from tests.servers.redis import running_redis


@pytest.mark.timeout(600)
def test_kills_lose_nothing_that_was_acknowledged() -> None:
    with (
        running_redis() as server,
        vecbridge.get_backend("redis", uri=server.uri, retry_timeout=30.0) as store,
    ):
        killed_in_ingest(server, store)
