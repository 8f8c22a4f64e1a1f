"""One Milvus Lite directory in one process: served by it, or by another one that it succeeds.

The process that gets the lock of the directory serves. The others speak to it, and each has a
thread that tries for the lock: when the one that serves ends, however it ends, the operating system
unlocks, one of them succeeds, and serves on the same socket.
"""

from __future__ import annotations

import atexit
import os
import queue
import socket
import threading
import time
from functools import cache
from pathlib import Path

from vecbridge import ConnectionFailedError, OperationTimeoutError, VecbridgeError
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._errors import failure
from vecbridge_milvus.lite import _rendezvous as rendezvous
from vecbridge_milvus.lite._rendezvous import Anchor, failed, linked
from vecbridge_milvus.lite._server import Server, check_readable, discard_torn, note_indexes

_WATCH_S = 0.1
_POLL_S = 0.02
_END_S = 30.0

_guard = reentrant_lock()
_members: dict[Path, DirectoryMember] = {}
_inherited: list[DirectoryMember] = []


def join(path: Path, seconds: float) -> DirectoryMember:
    """Add a store of this process to a directory, as :func:`vecbridge_milvus.lite.join` says."""
    _register()
    with _guard:
        member = _members.get(path)
        if member is None or member.lost():
            # Stores that are open on what was there before keep it, and are refused.
            member = _members[path] = DirectoryMember(path)
        member.holders += 1
    try:
        member.open(seconds)
    except BaseException:
        member.leave()
        raise
    return member


class DirectoryMember:
    """A directory as the stores of one process have it.

    Attributes:
        shared: whether other processes can be on the directory at the same time.
        address: the ``uri`` to connect to; another one after a while, perhaps.
        holders: how many stores of this process there are.
    """

    shared = True

    def __init__(self, path: Path) -> None:
        self.holders = 0
        self.address = ""
        self._path = path
        self._anchor: Anchor | None = None
        self._process = os.getpid()
        self._ended = False
        self._opening = reentrant_lock()
        self._held: int | None = None
        self._server: Server | None = None
        self._trouble: VecbridgeError | None = None
        self._leaving: queue.SimpleQueue[threading.Event] = queue.SimpleQueue()
        self._watcher = threading.Thread(
            target=self._watch, name="vecbridge-lite-watch", daemon=True
        )

    def open(self, seconds: float) -> None:
        """Serve the directory, or find the process that does, unless that is done."""
        with self._opening:
            if not self._watcher.is_alive():
                self._watcher.start()
            give_up = time.monotonic() + seconds
            while not (self.address or self._serve() or self._find()):
                if time.monotonic() > give_up:
                    raise self._unserved()
                time.sleep(_POLL_S)

    def lost(self) -> str | None:
        """Return what has become of the path, where it no longer leads to what was opened."""
        return None if self._anchor is None else self._anchor.lost()

    def verify(self) -> None:
        """Raise what keeps this process's stores from the directory.

        That is what kept it from succeeding the one that served, or that another directory, or
        none, is where this one was. What is looked at is a name and two numbers, so that each call
        can be followed by it.
        """
        if self._trouble is not None:
            raise self._trouble
        lost = self.lost()
        if lost is not None:
            raise failed(
                f"{self._path} is not what it was when this store opened it: {lost}. What the "
                f"store has written is in the directory that it opened, wherever that is now. "
                f"Close this store, and open the path that you mean"
            )

    def silent(self, reason: str) -> VecbridgeError:
        """Return the error that says why nothing answers, where pymilvus says ``reason``."""
        place = None if self._anchor is None else rendezvous.find(self._anchor.place)
        if place is None or not rendezvous.answers(place.socket):
            return failed(f"{self._path}: the process that served it has ended", retryable=True)
        if place.host != socket.gethostname() or not rendezvous.stopped(place.pid):
            # One that is new takes a moment; the call is made again.
            return failed(
                f"{self._path}: process {place.pid}, which serves it, did not answer",
                retryable=True,
            )
        text = (
            f"process {place.pid}, which serves {self._path} to this one, is stopped, by a signal "
            f"or in a debugger. Let it go on (kill -CONT {place.pid}), or end it: another one then "
            f"takes its place"
        )
        return failure(OperationTimeoutError, "connect", text, passes=True)

    def leave(self) -> None:
        """Take a store away; with the last one, let go of the directory before this returns."""
        left = threading.Event()
        if self._process == os.getpid():
            self._leaving.put(left)
            left.wait(_END_S)

    def retire(self) -> None:
        """Take over from no other process from now on."""
        self._ended = True

    def forget(self) -> None:
        """Take a store away in a finalizer: take no lock and wait for nothing."""
        if self._process == os.getpid():
            self._leaving.put(threading.Event())

    def disown(self) -> None:
        """Let go of the directory in a forked child: it is the parent's."""
        if self._server is not None:
            self._server.disown()
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if self._anchor is not None:
            self._anchor.close()

    def end(self) -> None:
        """Stop serving, if this process does, and unlock."""
        with self._opening:
            self._ended = True
            server, self._server = self._server, None
            held, self._held = self._held, None
            if server is not None and held is not None and self._anchor is not None:
                server.stop()
                rendezvous.publish(held, self._anchor.place, server.address, ended=True)
                os.close(held)
            if self._anchor is not None:
                self._anchor.close()

    def _watch(self) -> None:
        last = False
        while not last:
            try:
                left = self._leaving.get(timeout=None if self._server else _WATCH_S)
            except queue.Empty:
                self._succeed()
                continue
            with _guard:
                self.holders -= 1
                last = self.holders <= 0
                if last and _members.get(self._path) is self:
                    del _members[self._path]
            if last:
                self.end()
            left.set()

    def _succeed(self) -> None:
        with self._opening:
            try:
                # A directory that was removed is not wanted back, empty.
                wanted = self.address and not self._ended and self.lost() is None
                if wanted and not self._serve():
                    self._find()
                self._trouble = None
            except VecbridgeError as error:
                served = rendezvous.answers(Path(self.address.removeprefix("unix:")))
                self._trouble = None if served else error

    def _serve(self) -> bool:
        """Try for the lock, and serve where it is free."""
        try:
            anchor = self._anchored()
            held = rendezvous.acquire(anchor.place)
        except PermissionError as error:
            raise failed(
                f"{self._path}: {error.strerror}. Processes of one user can share a directory; for "
                f"several users, run a Milvus server and give its address"
            ) from error
        except OSError as error:
            raise failed(f"{self._path}: {error.strerror}") from error
        if held is None:
            return False
        server: Server | None = None
        try:
            if anchor.lost() is not None:
                os.close(held)
                return False
            check_readable(anchor.path)
            if not rendezvous.ended_cleanly(held):
                discard_torn(anchor.place)
            note_indexes(anchor.place)
            server = Server(anchor, rendezvous.prepare(anchor.place))
            rendezvous.publish(held, anchor.place, server.address)
            anchor.note_lock()
        except BaseException as error:
            if server is not None:
                server.stop()
            os.close(held)
            if isinstance(error, VecbridgeError) or not isinstance(error, Exception):
                raise
            raise failed(anchor.plain(f"{self._path}: {error}")) from error
        self._held, self._server = held, server
        self.address = f"unix:{server.address}"
        return True

    def _anchored(self) -> Anchor:
        """Return the directory, made where it is not there yet, and the same from then on."""
        if self._anchor is not None and (self.address or self._anchor.lost() is None):
            return self._anchor
        if self._anchor is not None:
            # It was exchanged before anything was read of it.
            self._anchor.close()
        self._path.mkdir(exist_ok=True)
        self._anchor = Anchor(self._path)
        return self._anchor

    def _find(self) -> bool:
        anchor = self._anchor
        place = None if anchor is None else rendezvous.find(anchor.place)
        if anchor is None or place is None:
            return False
        address = f"unix:{place.socket}"
        if address != self.address:
            if place.distrust() is not None or not rendezvous.answers(place.socket):
                return False
            anchor.note_lock()
            self.address = address
        return True

    def _unserved(self) -> ConnectionFailedError:
        anchor = self._anchored()
        place = rendezvous.find(anchor.place)
        if rendezvous.is_linked(anchor.place / rendezvous.FILE):
            return linked(self._path)
        if place is None:
            return failed(f"{self._path} is locked by a process that does not say how to reach it")
        why = place.distrust() or f"no process answers on {place.socket}"
        return failed(
            f"{self._path} is served by process {place.pid} on {place.host}, and this process "
            f"cannot speak to it: {why}. Processes of one user on one machine can share it; for "
            f"more, run a Milvus server and give its address"
        )


@cache
def _register() -> None:
    atexit.register(_at_end)
    os.register_at_fork(after_in_child=_in_child)


def _at_end() -> None:
    with _guard:
        ending = list(_members.values())
        _members.clear()
    for member in ending:
        # Where another one of these serves, none takes over from it now.
        member.retire()
    for member in ending:
        member.end()


def _in_child() -> None:
    for member in _members.values():
        member.disown()
    # Kept, so that nothing of the parent's is taken apart here.
    _inherited.extend(_members.values())
    _members.clear()
