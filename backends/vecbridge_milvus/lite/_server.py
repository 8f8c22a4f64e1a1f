"""The engine of Milvus Lite, served on a socket that only this user can reach."""

from __future__ import annotations

import json
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

from vecbridge import CorruptStoreError
from vecbridge_milvus._errors import failure
from vecbridge_milvus.lite import _rendezvous as rendezvous
from vecbridge_milvus.lite._interceptor import (
    AutoFlush,
    ReadWriteGate,
    ReadWriteInterceptor,
    ReopenAfterFailure,
)
from vecbridge_milvus.lite._rendezvous import Anchor, failed, linked

if TYPE_CHECKING:
    from milvus_lite.db import MilvusLite

_THREADS = 16
_MESSAGE_BYTES = 256 << 20
_GRACE_S = 5.0
_UNLINKED_S = 1.0
_UNLOCKED_S = 1.0
_POLL_S = 0.02
_INDEXES = "vecbridge-indexes.json"
"""Names the indexes of segments that were whole when the process that serves began."""


class Server:
    """A Milvus Lite directory, open and served.

    Raises:
        Exception: whatever Milvus Lite says of a directory that it cannot open; it is unlocked.
    """

    def __init__(self, anchor: Anchor, address: Path) -> None:
        self.address = address
        self._gate = ReadWriteGate()
        self._engine = _opened(anchor)
        self._workers = _Workers()
        try:
            self._server = _serving(self._engine, self._gate, anchor, address, self._workers)
        except BaseException:
            self._workers.shutdown()
            self._engine.close()
            raise

    def stop(self) -> None:
        """Let calls end, take the socket away, then close the directory."""
        self._let_calls_end()
        self._workers.shutdown()
        # gRPC unlinks its socket some moments later, which must not be a successor's by then.
        give_up = time.monotonic() + _UNLINKED_S
        while self.address.exists() and time.monotonic() < give_up:
            time.sleep(0.001)
        with self._gate.writing():
            self._engine.close()
        rendezvous.clear(self.address)

    def _let_calls_end(self) -> None:
        try:
            self._server.stop(_GRACE_S).wait()
        except RuntimeError:
            # At the interpreter's end, newer Pythons start no thread to watch over the grace.
            with self._gate.writing():
                self._server.stop(None).wait()

    def disown(self) -> None:
        """Let go, in a forked child, of what is the parent's: its lock and its connections.

        The child would keep both after the parent's end, and no process would answer. The
        descriptors stay taken, so that no later file gets their numbers.
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


def note_indexes(place: Path) -> None:
    """Write down which indexes of segments are whole, before more are made. The lock is held."""
    listed = json.dumps({str(each.relative_to(place)): _mark(each) for each in _indexes(place)})
    partial = place / f"{_INDEXES}.new"
    partial.unlink(missing_ok=True)
    partial.write_text(listed)
    partial.replace(place / _INDEXES)


def discard_torn(place: Path) -> None:
    """Remove the indexes of segments that a killed process wrote. The lock is held.

    Milvus Lite writes them in place, and never loads a collection again of which one is torn. One
    that is missing it makes again from the segment. They are known by a list and not by their age:
    a clock may have been set back.
    """
    try:
        known = json.loads((place / _INDEXES).read_text())
        known = known if isinstance(known, dict) else {}
    except (OSError, ValueError, RecursionError):
        known = {}
    for index in _indexes(place):
        if known.get(str(index.relative_to(place))) != _mark(index):
            index.unlink()


def check_readable(path: Path) -> None:
    """Raise an error for damage that Milvus Lite would hide behind an older, or an empty, state.

    It replaces these files whole, so no crash leaves a torn one.

    Raises:
        CorruptStoreError: a file that says what the directory holds is damaged.
    """
    for described in (*path.glob("**/manifest.json"), *path.glob("**/schema.json")):
        try:
            json.loads(described.read_bytes())
        except FileNotFoundError:  # noqa: PERF203 - few files
            # A collection that another process is dropping.
            continue
        except (ValueError, RecursionError) as error:
            text = (
                f"{described} is damaged: {error}. It was left as it is; restore it from a backup"
            )
            raise failure(CorruptStoreError, "connect", text) from error


def _indexes(place: Path) -> list[Path]:
    return [each for each in place.glob("**/partitions/*/indexes/*") if each.is_file()]


def _mark(index: Path) -> list[int]:
    found = index.stat()
    return [found.st_size, found.st_mtime_ns]


def _is_bound(descriptor: int, address: Path) -> bool:
    """Return whether this is a socket of an address: one that listens, or that it accepted."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as found:
            return bool(found.getsockname() == str(address))
    except OSError:
        # Closed since it was listed, as the listing itself is.
        return False


def _opened(anchor: Anchor) -> MilvusLite:
    from milvus_lite.db import LOCK_FILENAME, MilvusLite
    from milvus_lite.exceptions import DataDirLockedError

    lock = anchor.place / LOCK_FILENAME
    _own(lock)
    give_up = time.monotonic() + _UNLOCKED_S
    while True:
        try:
            return MilvusLite(str(anchor.place))
        except DataDirLockedError as error:  # noqa: PERF203 - once a poll
            # A process that was killed gives its locks back one after the other.
            if time.monotonic() > give_up:
                if rendezvous.is_linked(lock):
                    raise linked(anchor.path) from error
                raise failed(
                    f"{anchor.path} is locked by a program that does not "
                    f"share it: one that opened it with pymilvus itself, or that runs elsewhere. "
                    f"It then admits one process at a time: close it there, or run a Milvus server "
                    f"and give its address"
                ) from error
            time.sleep(_POLL_S)


def _own(lock: Path) -> None:
    """Give a copy that was made of links a lock file of its own."""
    if not rendezvous.is_linked(lock):
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        if rendezvous.lock(descriptor):
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _serving(
    engine: MilvusLite, gate: ReadWriteGate, anchor: Anchor, address: Path, workers: Executor
) -> grpc.Server:
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    servicer = MilvusServicer(engine)
    reopening = ReopenAfterFailure(engine)

    def flush(request: Any, context: Any) -> str:
        names = [request.collection_name]
        wanted = milvus_pb2.FlushRequest(db_name=request.db_name, collection_names=names)
        reply = servicer.Flush(wanted, context)
        return str(reply.status.reason) if reopening.check(reply, wanted, context) else ""

    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        # pymilvus looks every few seconds whether an idle connection is alive, for which a server
        # would hang up on it.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]
    interceptor = ReadWriteInterceptor(gate, AutoFlush(flush), reopening.check, anchor)
    # gRPC asks of its threads no more than any executor does, whatever the type it names.
    threads: Any = workers
    server = grpc.server(threads, interceptors=[interceptor], options=options)
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
        """Run a call on one of the threads."""
        future: Future[Any] = Future()
        self._work.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002 - the library's signature
        *,
        cancel_futures: bool = False,
    ) -> None:
        """End the threads, each after what it is doing."""
        for _ in range(_THREADS):
            self._work.put(None)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            future, call = task
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - the caller that waits gets it
                future.set_exception(error)
            # Not to be kept alive while waiting for the next one.
            del task, future, call
