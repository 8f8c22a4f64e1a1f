"""A TCP proxy before a real server, which knows no protocol: it passes bytes, or does not.

What a client sends in one piece of more than a few hundred bytes is taken for a request; smaller
ones are the small talk of connections, such as pings.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 16
_REQUEST_BYTES = 200
_APPLIED_S = 1.0


class Wire:
    """Listens on a port of this machine and passes everything on to a server.

    Args:
        host: of the server.
        port: of the server.

    Attributes:
        port: where it listens, on 127.0.0.1.
        cuts: how many times it has cut a connection because a test asked for it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._delay = 0.0
        self._flowing = threading.Event()
        self._flowing.set()
        self._cut_next: str | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._start(self._accept)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut_before_next_request(self) -> None:
        """Do not pass the next request on; end its connection."""
        self._cut_next = "before"

    def cut_after_next_request(self) -> None:
        """Pass the next request on, and end its connection a second later, without an answer."""
        self._cut_next = "after"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Pass nothing, and end no connection, as long as the block lasts."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Delay every piece by so much, as long as the block lasts."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    def close(self) -> None:
        """End every connection, and listen no more."""
        self._closed = True
        self._flowing.set()
        _end(self._listener)
        for each in list(self._open):
            _end(each)
        for thread in self._threads:
            thread.join(5.0)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._join, client)

    def _join(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = socket.create_connection(self._target, timeout=10.0)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        self._open |= {client, server}
        muted = threading.Event()
        self._start(self._pass, server, client, muted, False)
        self._pass(client, server, muted, True)

    def _pass(
        self,
        source: socket.socket,
        target: socket.socket,
        muted: threading.Event,
        asking: bool,  # noqa: FBT001  (of a thread)
    ) -> None:
        """Pass one direction on until either end closes; ``muted`` swallows the answers."""
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                time.sleep(self._delay)
                self._flowing.wait()
                cut = self._cut_of(data) if asking else None
                if cut == "before":
                    break
                if cut == "after":
                    muted.set()
                if asking or not muted.is_set():
                    target.sendall(data)
                if cut == "after":
                    time.sleep(_APPLIED_S)
                    break
        for each in (source, target):
            _end(each)
            self._open.discard(each)

    def _cut_of(self, data: bytes) -> str | None:
        if len(data) < _REQUEST_BYTES:
            return None
        with self._lock:
            cut, self._cut_next = self._cut_next, None
            self.cuts += cut is not None
        return cut


def _end(end: socket.socket) -> None:
    """End a connection at once, for both of its ends."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
