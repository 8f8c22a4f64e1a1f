"""A Qdrant that the tests are pointed at, and Qdrant's own segments behind a server of the tests.

``VECBRIDGE_TEST_QDRANT_URL`` is the address of the former, ``VECBRIDGE_TEST_QDRANT_API_KEY`` its
key. It has to be empty, and what the tests make there is dropped at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.milvus import free_ports, listens

URL = os.environ.get("VECBRIDGE_TEST_QDRANT_URL", "")
_KEY = os.environ.get("VECBRIDGE_TEST_QDRANT_API_KEY", "")
_ROOT = Path(__file__).parents[2]
_READY_S = 120.0
EDGE_KEY = "not-a-secret"


@contextmanager
def given_qdrant() -> Iterator[dict[str, object]]:
    """Yield the settings of the server; drop the collections that are there afterwards."""
    from qdrant_client import QdrantClient

    client = QdrantClient(url=URL, api_key=_KEY or None)
    if found := client.get_collections().collections:
        pytest.exit(f"the Qdrant at {URL} holds {len(found)} collections: give an empty one", 4)
    try:
        yield {"url": URL, **({"api_key": _KEY} if _KEY else {})}
    finally:
        for each in client.get_collections().collections:
            client.delete_collection(each.name)
        client.close()


class EdgeServer:
    """Qdrant's own segments in a process; see :mod:`tests.servers.qdrant_edge`.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, object]:
        """The settings that reach it."""
        return {"url": f"http://127.0.0.1:{self._port}", "api_key": EDGE_KEY}

    def start(self) -> None:
        """Start it, again or for the first time, and wait until it answers."""
        module = [sys.executable, "-m", "tests.servers.qdrant_edge"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*module, str(self._port), str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
            )
        deadline = time.monotonic() + _READY_S
        while not listens(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a warning."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def running_edge() -> Iterator[EdgeServer]:
    """Yield such a server, which ends with the block."""
    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as folder:
        server = EdgeServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def qdrant_edge() -> Iterator[EdgeServer]:
    """Qdrant's own segments behind a server of the tests."""
    with running_edge() as server:
        yield server
