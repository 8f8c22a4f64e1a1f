"""A real standalone Milvus server (2.3.5, from its wheel), private to one test session.

Where ``VECBRIDGE_TEST_MILVUS_URI`` gives the address of another, that one is used instead.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.servers import given_milvus

_CACHE = Path(__file__).parents[2] / ".cache" / "milvus-2.3.5"
_READY_SECONDS = 120.0
_STOP_SECONDS = 15.0
_LEASE_SECONDS = 5
# Started before its dead predecessor's lease has ended, a server may wait for itself for ever.
_LEASE_PAUSE_SECONDS = _LEASE_SECONDS + 0.5
# The shell ends the server when its own standard input does: when the session closes it, or dies.
# Milvus never stops cleanly on SIGTERM and loses nothing on SIGKILL, so it is not kept waiting.
LEASH = """
"$@" & child=$!
echo "$child" > milvus.pid
read -r _
kill "$child"
for _ in 1 2 3 4 5 6 7 8; do sleep 0.5; kill -0 "$child" 2>/dev/null || break; done
kill -9 "$child" 2>/dev/null
wait "$child"
"""


class MilvusServer:
    """A standalone server, all of whose files are below one folder.

    Args:
        folder: an empty folder, or the one of a server that ran before, whose data it then serves.
        overrides: settings of ``milvus.yaml`` that replace the launcher's, as nested mappings.
    """

    def __init__(self, folder: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._overrides = overrides or {}
        self._shell: subprocess.Popen[bytes] | None = None
        self._ended = -_LEASE_PAUSE_SECONDS
        self._ports = free_ports(12)
        self.port = self._ports[0]

    @property
    def uri(self) -> str:
        """The address for clients that speak plain text."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server, again or for the first time, and waits until it serves."""
        time.sleep(max(0.0, self._ended + _LEASE_PAUSE_SECONDS - time.monotonic()))
        binaries = unpacked_binaries()
        metrics_port = self._write_configuration()
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(binaries),
            "METRICS_PORT": str(metrics_port),
            "DEPLOY_MODE": "STANDALONE",
            "MILVUS_RUN_DIR": str(self.folder / "run"),
        }
        (self.folder / "run").mkdir(exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", LEASH, "sh", str(binaries / "milvus"), "run", "standalone"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await_ready(f"http://127.0.0.1:{metrics_port}/healthz")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server. Its data stay."""
        if self._shell is None:
            return
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(timeout=_STOP_SECONDS)
        finally:
            self._shell = None
            self._ended = time.monotonic()

    def kill(self) -> None:
        """Ends the server as a power failure would."""
        self.signal(signal.SIGKILL)
        self.stop()

    def signal(self, number: int) -> None:
        """Sends the server process a signal, such as ``SIGCONT``."""
        os.kill(self._pid(), number)

    def freeze(self) -> None:
        """Stops the server where it is, until ``SIGCONT``, and waits until all of it stands."""
        self.signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._pid()}/task")
        states: set[str] = set()
        while states != {"T"}:
            time.sleep(0.01)
            # After the name, which is in brackets and may hold anything.
            lines = [(each / "stat").read_text() for each in threads.iterdir()]
            states = {line.rpartition(")")[2].split()[0] for line in lines}

    def _pid(self) -> int:
        return int((self.folder / "milvus.pid").read_text())

    def _write_configuration(self) -> int:
        """Writes what differs from Milvus's own defaults, and returns the port of the metrics."""
        _, metrics, etcd_client, etcd_peer, internal, *coordinators = self._ports
        roles = ["rootCoord", "queryCoord", "queryNode", "indexNode", "dataCoord", "dataNode"]
        data = self.folder / "data"
        # Only its own file moves the embedded etcd off ports 2379 and 2380.
        etcd = {
            "name": "default",
            "data-dir": str(data / "etcd"),
            "listen-client-urls": f"http://127.0.0.1:{etcd_client}",
            "advertise-client-urls": f"http://127.0.0.1:{etcd_client}",
            "listen-peer-urls": f"http://127.0.0.1:{etcd_peer}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{etcd_peer}",
            "initial-cluster": f"default=http://127.0.0.1:{etcd_peer}",
        }
        configuration: dict[str, Any] = {
            "etcd": {
                "endpoints": f"127.0.0.1:{etcd_client}",
                "use": {"embed": True},
                "config": {"path": str(self.folder / "configs" / "etcd.yaml")},
                "data": {"dir": str(data / "etcd")},
                "log": {"level": "error", "path": str(self.folder / "etcd.log")},
            },
            "localStorage": {"path": str(data / "storage")},
            "rocksmq": {"path": str(data / "rocksmq")},
            "proxy": {"port": self.port, "internalPort": internal},
            **{role: {"port": port} for role, port in zip(roles, coordinators, strict=False)},
            "log": {"level": "error", "file": {"rootPath": ""}},
            "common": {
                "storageType": "local",
                # A restarted server waits for the lease of its dead predecessor.
                "session": {"ttl": _LEASE_SECONDS},
                "gracefulStopTimeout": 3,
            },
        }
        (self.folder / "configs").mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        (self.folder / "configs" / "etcd.yaml").write_text(json.dumps(etcd))
        # Without this file the server exits.
        (self.folder / "configs" / "glog.conf").write_text("--logtostderr=true\n--minloglevel=2\n")
        merged = _merged(configuration, self._overrides)
        (self.folder / "configs" / "milvus.yaml").write_text(json.dumps(merged))
        return metrics

    def _await_ready(self, health: str) -> None:
        assert self._shell is not None
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self._shell.poll() is None:
            with suppress(OSError), urllib.request.urlopen(health, timeout=5) as answer:
                # Health comes before the port is open.
                if answer.read().strip() == b"OK" and listens(self.port):
                    return
            time.sleep(0.1)
        tail = (self.folder / "server.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"Milvus did not serve on port {self.port}: {tail}")


@contextmanager
def running_milvus(
    folder: Path, overrides: Mapping[str, Any] | None = None
) -> Iterator[MilvusServer]:
    """Runs a server while the block lasts; skips the test where it should use a given one."""
    if given_milvus.URI:
        pytest.skip(given_milvus.LEFT_OUT)
    server = MilvusServer(folder, overrides)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def milvus_server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a Milvus server: the one that is given, or one of this session's own."""
    if given_milvus.URI:
        with given_milvus.given_database() as uri:
            yield uri
        return
    if find_spec("milvus") is None:
        pytest.skip("the wheel milvus==2.3.5 is not installed: there is none for this machine")
    # It is never restarted, and must not be taken for dead where the machine is busy.
    patient = {"common": {"session": {"ttl": 60}}}
    with running_milvus(tmp_path_factory.mktemp("milvus"), patient) as server:
        yield server.uri


def unpacked_binaries() -> Path:
    """The server's files, unpacked once for all sessions."""
    if (_CACHE / "milvus").exists():
        return _CACHE
    spec = find_spec("milvus")
    assert spec is not None
    assert spec.origin is not None
    partial = _CACHE.with_name(f"{_CACHE.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    for packed in (Path(spec.origin).parent / "data" / "bin").glob("*.lzma"):
        unpacked = partial / packed.stem
        with lzma.open(packed) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
        unpacked.chmod(0o755)
    try:
        partial.rename(_CACHE)
    except OSError:
        # Another session was faster.
        shutil.rmtree(partial)
    return _CACHE


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now, all different."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second winning."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
