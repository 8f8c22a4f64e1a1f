"""A real server of Chroma, from its wheel, private to one test session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers.milvus import free_ports

URI_VARIABLE = "VECBRIDGE_TEST_CHROMA_URI"
_READY_S = 60.0


class ChromaServer:
    """A server on 127.0.0.1, all of whose files are below one folder.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, again or for the first time, and wait until it answers."""
        program = Path(sys.executable).with_name("chroma")
        options = ["--path", self._folder / "data", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "run", *map(str, options)], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                httpx.get(f"{self.uri}/api/v2/heartbeat").raise_for_status()
            except httpx.HTTPError:  # noqa: PERF203 - once per attempt
                assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def freeze(self) -> None:
        """Let the server answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the server at once, as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(15)


@contextmanager
def running_chroma() -> Iterator[ChromaServer]:
    """Yield a running server; its files go at the end."""
    with tempfile.TemporaryDirectory(prefix="vecbridge-chroma-") as folder:
        server = ChromaServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def chroma_server() -> Iterator[ChromaServer]:
    """A server of this session's own, which tests may kill and start again."""
    with running_chroma() as server:
        yield server


@pytest.fixture(scope="session")
def chroma_uri(request: pytest.FixtureRequest) -> str:
    """The server that ``VECBRIDGE_TEST_CHROMA_URI`` names, or the session's own."""
    given = os.environ.get(URI_VARIABLE)
    return given or str(request.getfixturevalue("chroma_server").uri)
