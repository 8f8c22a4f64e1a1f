"""Engines of bulk work, in a network of their own: Ray listens on every address."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

_GONE_SECONDS = 30.0


@dataclass(frozen=True)
class Engine:
    """Where partitions are worked on.

    Attributes:
        name: of the engine.
        words: that name it on the command line.
        kill_worker: kills a process that works for it; of the command's own, which is given.
        kill_node: takes a whole machine of a cluster away; ``None`` where there is none.
    """

    name: str
    words: tuple[str, ...]
    kill_worker: Callable[[psutil.Process], None]
    kill_node: Callable[[], None] | None = None


@pytest.fixture(scope="session", autouse=True)
def network_of_its_own() -> None:
    found = {name for _, name in socket.if_nameindex()}
    assert found == {"lo"}, f"run this by make test-bulk: there are the interfaces {found}"


@pytest.fixture(autouse=True)
def no_process_is_left(milvus_server_uri: str) -> Iterator[None]:
    """No process of a test outlives it, also of one that fails."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    # One that Python keeps for each process that started others; it ends with it.
    left = {each for each in left if "resource_tracker" not in _words(each)}
    _, left_over = psutil.wait_procs(left, timeout=_GONE_SECONDS)
    for each in left_over:
        each.kill()
    assert left_over == []


@pytest.fixture(params=["workers", "dask", "ray"])
def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    # Ray writes a token there.
    monkeypatch.setenv("HOME", str(tmp_path))
    if request.param == "workers":
        yield Engine("workers", ("--workers", "2"), _kill_child)
    elif request.param == "dask":
        yield from _dask()
    else:
        yield from started_ray()


def _kill_child(command: psutil.Process) -> None:
    _kill_one_of(lambda: [each for each in command.children() if "spawn_main" in _words(each)])


def _dask() -> Iterator[Engine]:
    from distributed import LocalCluster

    make: Any = LocalCluster
    started = make(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    )
    with started as cluster:
        address = cluster.scheduler_address
        words = ["-m", "distributed.cli.dask_worker", address, "--nworkers=1", "--nthreads=1"]
        node = psutil.Popen([sys.executable, *words, "--no-dashboard", "--host=127.0.0.1"])
        (worker,) = [each.process.pid for each in cluster.workers.values()]

        def kill_node() -> None:
            for each in [node, *node.children(recursive=True)]:
                each.kill()

        try:
            cluster.wait_for_workers(2)
            yield Engine("dask", ("--dask", address), lambda _: os.kill(worker, 9), kill_node)
        finally:
            if node.is_running():
                kill_node()
            node.wait()


def started_ray() -> Iterator[Engine]:
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 80_000_000}
    made: Any = Cluster
    cluster = made(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, **memory},
    )
    try:
        node = cluster.add_node(num_cpus=1, **memory)
        yield Engine(
            "ray",
            ("--ray", cluster.address),
            lambda _: _kill_one_of(_busy_in_ray),
            lambda: cluster.remove_node(node, allow_graceful=False),
        )
    finally:
        cluster.shutdown()


def _busy_in_ray() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children(recursive=True)
        if "ray::" in _words(each) and "_called" in _words(each)
    ]


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill_one_of(find: Callable[[], list[psutil.Process]]) -> None:
    deadline = time.monotonic() + 60
    while not (found := find()):
        assert time.monotonic() < deadline, "there is no worker to kill"
        time.sleep(0.02)
    found[0].kill()
