"""The stores of this process: one for each configuration, however many indexes use it.

An in-memory store lives only here, and a Milvus Lite file can be open only once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from vecbridge._config._registry import _configured, get_backend
from vecbridge._front._store import Store
from vecbridge.settings import Settings

_stores: list[tuple[str, Settings, Store]] = []
_lock = threading.Lock()


def shared_store(backend: str, options: Mapping[str, Any]) -> Store:
    """The store with these settings, opened once in this process.

    Args:
        backend: name of the backend.
        options: settings; those that are left out are read where they are configured.
    """
    wanted = _configured(backend, options)[1].settings
    with _lock:
        for name, settings, store in _stores:
            if name == backend and settings == wanted:
                return store
        made = get_backend(backend, **options)
        _stores.append((backend, wanted, made))
        return made


def close_stores() -> None:
    """Closes every store that an index of this process uses.

    An index opens its store again when it is used next. What an in-memory store held is gone.
    """
    with _lock:
        closing, _stores[:] = list(_stores), []
    for _, _, store in closing:
        store.close()
