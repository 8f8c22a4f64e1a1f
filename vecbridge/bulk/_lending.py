"""Indexes that travel to the workers as names and settings, and are opened there once."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from vecbridge._client import Index, Store
from vecbridge._client._store import store_of
from vecbridge._errors import UnsupportedError

_IDLE_SECONDS = 60.0
"""For how long a worker keeps an index open for the next partition of it."""


class Lent:
    """An index, for work on its partitions in this process or in others.

    What travels is the index's name and its store's configuration, without secrets; a worker reads
    those from its own environment or ``brain_config.json``. All work of one process shares what it
    opened: a local store is read into memory once.

    Args:
        index: open in this process.
    """

    def __init__(self, index: Index) -> None:
        self._index: Index | None = index

    def __getstate__(self) -> dict[str, object]:
        return {"_index": None, "_pickled": self._pickled}

    @cached_property
    def _pickled(self) -> bytes:
        return pickle.dumps(self._index)

    @contextmanager
    def opened(self) -> Iterator[Index]:
        """Yield the index, open."""
        if self._index is not None:
            yield self._index
            return
        entry = _KEPT.take(self._pickled)
        try:
            yield entry.index
        finally:
            _KEPT.give_back(self._pickled, entry)


def backend_of(index: Index) -> str:
    """Return the name of the backend of an index."""
    store = store_of(index)
    return type(index.engine).__name__ if store is None else store.name


def refuse_stationary(*indexes: Index) -> None:
    """Refuse indexes that no worker could open while this process has them open.

    Raises:
        UnsupportedError: one is in memory, made from an object, or in files of one process.
    """
    for index in indexes:
        pickle.dumps(index)
        if not index.capabilities.shared:
            raise UnsupportedError(
                f"index {index.info.name!r} is in files that one process at a time can open, so "
                f"no worker can read it. Work on it in one process (without an executor; "
                f"without --workers, --dask and --ray)",
                capability="shared",
            )


def refuse_to_spread(source: Index, target: Store) -> None:
    """Refuse a copy over workers that could not read the source, or not write to the target.

    Raises:
        UnsupportedError: the source is as :func:`refuse_stationary` says, or the target is in
            memory or has one writer.
    """
    refuse_stationary(source)
    # So is a target in memory, which says so itself.
    pickle.dumps(target)
    if target.single_writer:
        raise UnsupportedError(
            f"this store of {target.name!r} consists of files on one machine, which one process "
            f"at a time writes to: several would only wait for each other. Copy in one process "
            f"(without an executor; without --workers, --dask and --ray)",
            capability="shared",
        )


class _Entry:
    """An open index, how many partitions are being worked on, and what closes it afterwards."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.users = 0
        self.closing: threading.Timer | None = None


class _Kept:
    """The indexes that this process opened for work that came to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}

    def take(self, pickled: bytes) -> _Entry:
        with self._lock:
            entry = self._entries.get(pickled)
            if entry is None:
                # It connects at its first use, not here.
                index: Index = pickle.loads(pickled)  # noqa: S301 - it came as a part of a pickle
                entry = self._entries[pickled] = _Entry(index)
            if entry.closing is not None:
                entry.closing.cancel()
                entry.closing = None
            entry.users += 1
            return entry

    def give_back(self, pickled: bytes, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if not entry.users:
                entry.closing = threading.Timer(_IDLE_SECONDS, self._close, (pickled, entry))
                entry.closing.daemon = True
                entry.closing.start()

    def _close(self, pickled: bytes, entry: _Entry) -> None:
        with self._lock:
            if entry.users or self._entries.get(pickled) is not entry:
                return
            del self._entries[pickled]
        entry.index.close()
        store = store_of(entry.index)
        if store is not None:
            store.close()


_KEPT = _Kept()
