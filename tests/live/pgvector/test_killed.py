"""A server that is killed in the middle of an ingest loses nothing that it acknowledged."""

from __future__ import annotations

import pytest

import vecbridge
from tests.servers.killing import killed_in_ingest
from tests.servers.postgres import running_postgres


@pytest.mark.timeout(600)
def test_kills_lose_nothing_that_was_acknowledged() -> None:
    with (
        running_postgres() as server,
        vecbridge.get_backend("pgvector", uri=server.uri, retry_timeout=30.0) as store,
    ):
        killed_in_ingest(server, store)
