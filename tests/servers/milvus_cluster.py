"""A real Milvus cluster on one machine: etcd, a message queue, and one process a role."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.servers.milvus import LEASH, free_ports, listens, unpacked_binaries

_ROLES = ("rootcoord", "datacoord", "querycoord", "datanode", "indexnode", "proxy")
_SECTIONS = {
    "rootcoord": "rootCoord",
    "datacoord": "dataCoord",
    "querycoord": "queryCoord",
    "datanode": "dataNode",
    "indexnode": "indexNode",
    "querynode": "queryNode",
}
_KAFKA = Path(__file__).with_name("kafka.py")
_READY_SECONDS = 120.0


class MilvusCluster:
    """The processes of a cluster, all of whose files are below one folder.

    Args:
        folder: an empty folder.
        query_nodes: how many processes search.
    """

    def __init__(self, folder: Path, query_nodes: int = 2) -> None:
        self.folder = folder
        self._nodes = [f"querynode-{number}" for number in range(query_nodes)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = [*_ROLES, *self._nodes]
        ports = iter(free_ports(2 * len(names) + 4))
        self._ports = {name: (next(ports), next(ports)) for name in names}
        self._etcd, self._peer, self._internal, _ = ports

    @property
    def uri(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self._ports['proxy'][0]}"

    @property
    def query_nodes(self) -> list[str]:
        """Names of the processes that search, those that still run."""
        return [name for name in self._nodes if name in self._processes]

    def start(self) -> None:
        """Starts everything, and waits until it serves."""
        brokers = self._start_queue()
        self._start_etcd()
        for name in [*_ROLES[:-1], *self._nodes, "proxy"]:
            self._start_role(name, brokers)
        deadline = time.monotonic() + _READY_SECONDS
        for name, (_, metrics) in self._ports.items():
            self._await_healthy(name, f"http://127.0.0.1:{metrics}/healthz", deadline)

    def kill(self, name: str) -> None:
        """Ends one process as a power failure would."""
        os.kill(int((self.folder / name / "milvus.pid").read_text()), signal.SIGKILL)
        process = self._processes.pop(name)
        _let_go(process)
        process.wait()

    def stop(self) -> None:
        """Ends everything."""
        ending = list(self._processes.values())
        self._processes.clear()
        for process in ending:
            _let_go(process)
        for process in ending:
            process.wait()

    def _start_queue(self) -> str:
        with (self.folder / "kafka.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(_KAFKA)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._processes["kafka"] = process
        assert process.stdout is not None
        return process.stdout.readline().decode().strip()

    def _start_etcd(self) -> None:
        binary = shutil.which("etcd")
        assert binary is not None
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        self._launch(
            "etcd",
            [
                binary,
                *("--name", "default", "--data-dir", str(self.folder / "etcd-data")),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"default={peer}"),
            ],
        )
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and not listens(self._etcd):
            time.sleep(0.1)

    def _start_role(self, name: str, brokers: str) -> None:
        role = name.partition("-")[0]
        port, metrics = self._ports[name]
        home = self.folder / name
        (home / "configs").mkdir(parents=True)
        (home / "run").mkdir()
        configuration = self._configuration(brokers)
        section = {"port": port, "internalPort": self._internal} if role == "proxy" else {}
        configuration[_SECTIONS.get(role, role)] = section or {"port": port}
        # JSON is YAML.
        (home / "configs" / "milvus.yaml").write_text(json.dumps(configuration))
        (home / "configs" / "glog.conf").write_text("--logtostderr=true\n--minloglevel=2\n")
        binaries = unpacked_binaries()
        alias = ["-alias", name] if role == "querynode" else []
        self._launch(
            name,
            [str(binaries / "milvus"), "run", role, *alias],
            LD_LIBRARY_PATH=str(binaries),
            METRICS_PORT=str(metrics),
            DEPLOY_MODE="CLUSTER",
            MILVUS_RUN_DIR=str(home / "run"),
        )

    def _configuration(self, brokers: str) -> dict[str, Any]:
        return {
            "etcd": {
                "endpoints": f"127.0.0.1:{self._etcd}",
                "use": {"embed": False},
                "log": {"level": "error"},
            },
            "mq": {"type": "kafka"},
            "kafka": {
                "brokerList": brokers,
                "saslUsername": "",
                "saslPassword": "",
                "saslMechanisms": "",
                "securityProtocol": "",
                "readTimeout": 10,
            },
            "localStorage": {"path": str(self.folder / "storage")},
            "log": {"level": "error", "file": {"rootPath": ""}},
            "common": {
                "storageType": "local",
                # A dead node is missed after this many seconds.
                "session": {"ttl": 5},
                "gracefulStopTimeout": 3,
            },
        }

    def _launch(self, name: str, command: list[str], **variables: str) -> None:
        """Starts a process that ends when this one does, however that happens."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                ["sh", "-c", LEASH, "sh", *command],
                cwd=home,
                env={**os.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await_healthy(self, name: str, address: str, deadline: float) -> None:
        while time.monotonic() < deadline and self._processes[name].poll() is None:
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                if answer.read().strip() == b"OK":
                    return
            time.sleep(0.2)
        tail = (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{name} did not become healthy: {tail}")


@contextmanager
def running_cluster(folder: Path, query_nodes: int = 2) -> Iterator[MilvusCluster]:
    """Runs a cluster while the block lasts."""
    cluster = MilvusCluster(folder, query_nodes)
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster


def _let_go(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
