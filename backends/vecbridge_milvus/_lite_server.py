"""The engine of Milvus Lite, served on a socket that only this user can reach."""

from __future__ import annotations

import os
import queue
import socket
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from vecbridge_milvus import _lite_place as places
from vecbridge_milvus._lite import failed
from vecbridge_milvus._lite_gate import Gate, Turns
from vecbridge_milvus._lite_mending import Mending
from vecbridge_milvus._lite_settling import Settling

if TYPE_CHECKING:
    from milvus_lite.db import MilvusLite

_THREADS = 16
_MESSAGE_BYTES = 256 << 20
_GRACE_S = 5.0
_UNLINKED_S = 1.0
_UNLOCKED_S = 1.0
_POLL_S = 0.02
_CLOCK_S = 2.0
"""How far the times of two files may be off: some file systems count in steps of that."""


class Server:
    """A Milvus Lite directory, open and served.

    Args:
        path: the directory.
        address: path of the socket.

    Raises:
        Exception: whatever Milvus Lite says of a directory that it cannot open; it is unlocked.
    """

    def __init__(self, path: Path, address: Path) -> None:
        self.address = address
        self._gate = Gate()
        self._engine = _opened(path)
        try:
            self._server = _serving(self._engine, self._gate, address)
        except BaseException:
            self._engine.close()
            raise

    def stop(self) -> None:
        """Lets calls end, takes the socket away, then closes the directory."""
        self._let_calls_end()
        # gRPC unlinks its socket some moments later, which must not be a successor's by then.
        give_up = time.monotonic() + _UNLINKED_S
        while self.address.exists() and time.monotonic() < give_up:
            time.sleep(0.001)
        with self._gate.writing():
            self._engine.close()
        places.clear(self.address)

    def _let_calls_end(self) -> None:
        try:
            self._server.stop(_GRACE_S).wait()
        except RuntimeError:
            # At the interpreter's end, newer Pythons start no thread to watch over the grace.
            with self._gate.writing():
                self._server.stop(None).wait()

    def disown(self) -> None:
        """Lets go, in a forked child, of what is the parent's: its lock and its connections.

        The child would keep both after the parent's end, and nobody would answer. The descriptors
        stay taken, so that nobody's later file gets their numbers.
        """
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in self._descriptors():
            os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)

    def _descriptors(self) -> list[int]:
        locked = getattr(self._engine, "_lock_fd", None)
        found = [] if locked is None else [int(locked)]
        inherited = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
        return found + [each for each in inherited if _is_bound(each, self.address)]


def discard_torn(path: Path, since: float) -> None:
    """Removes the indexes of segments that a process wrote which was killed, with the lock held.

    Milvus Lite writes them in place, and never loads a collection again of which one is torn. One
    that is missing it makes again from the segment.
    """
    for sidecar in path.glob("**/partitions/*/indexes/*"):
        if sidecar.is_file() and sidecar.stat().st_mtime >= since - _CLOCK_S:
            sidecar.unlink()


def _is_bound(descriptor: int, address: Path) -> bool:
    """Whether this is a socket of an address: the one that listens, or one that it accepted."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as found:
            return bool(found.getsockname() == str(address))
    except OSError:
        # Closed since it was listed, as the listing itself is.
        return False


def _opened(path: Path) -> MilvusLite:
    from milvus_lite.db import MilvusLite
    from milvus_lite.exceptions import DataDirLockedError

    give_up = time.monotonic() + _UNLOCKED_S
    while True:
        try:
            return MilvusLite(str(path))
        except DataDirLockedError as error:  # noqa: PERF203 - once a poll
            # A process that was killed gives its locks back one after the other.
            if time.monotonic() > give_up:
                raise failed(
                    f"{path} is locked by a program that does not "
                    f"share it: one that opened it with pymilvus itself, or that runs elsewhere. "
                    f"It then admits one process at a time: close it there, or run a Milvus server "
                    f"and give its address"
                ) from error
            time.sleep(_POLL_S)


def _serving(engine: MilvusLite, gate: Gate, address: Path) -> grpc.Server:
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    servicer = MilvusServicer(engine)
    mending = Mending(engine)

    def flush(request: Any, context: Any) -> str:
        names = [request.collection_name]
        wanted = milvus_pb2.FlushRequest(db_name=request.db_name, collection_names=names)
        reply = servicer.Flush(wanted, context)
        return str(reply.status.reason) if mending.mended(reply, wanted, context) else ""

    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        # pymilvus looks every few seconds whether an idle connection is alive, for which a server
        # would hang up on it.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]
    # gRPC asks of its threads no more than any executor does, whatever the type it names.
    workers: Any = _Workers()
    turns = Turns(gate, Settling(flush), mending.mended)
    server = grpc.server(workers, interceptors=[turns], options=options)
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{address}")
    server.start()
    return server


class _Workers(Executor):
    """Threads that serve until the interpreter's very end.

    Those of the standard library refuse work as soon as the main thread is done, while other
    threads, and other processes, may still be at theirs.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._work = queue.SimpleQueue()
        for _ in range(_THREADS):
            threading.Thread(target=self._serve, name="vecbridge-lite", daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs a call on one of the threads."""
        future: Future[Any] = Future()
        self._work.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002 - the library's signature
        *,
        cancel_futures: bool = False,
    ) -> None:
        """Ends the threads, each after what it is doing."""
        for _ in range(_THREADS):
            self._work.put(None)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            future, call = task
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                future.set_exception(error)
            # Not to be kept alive while waiting for the next one.
            del task, future, call
