"""The stores of this process: one for each configuration, however many indexes use it.

An in-memory store lives only here, and a Milvus Lite file can be open only once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecbridge._client import Store
from vecbridge._config._given import as_keywords
from vecbridge._config._registry import configured, get_backend
from vecbridge._config._settings import Settings
from vecbridge.locks import reentrant_lock

_stores: list[tuple[str, Settings, Store]] = []
_lock = reentrant_lock()
_closings = 0
_given: dict[tuple[str, str], dict[str, Any]] = {}
"""Settings that were given for an index. FiftyOne forgets a loaded run whenever it reloads its
dataset, and with it what the user had said."""


def closings() -> int:
    """How often the stores were closed: what was opened in one before is to be opened again."""
    return _closings


def resolved_settings(backend: str, options: Mapping[str, Any]) -> Settings:
    """The settings of a store; those that are left out are read where they are configured."""
    return configured(backend, as_keywords(dict(options)))[1].settings


def shared_store(backend: str, options: Mapping[str, Any]) -> Store:
    """The store with these settings, opened once in this process.

    Args:
        backend: name of the backend.
        options: settings; those that are left out are read where they are configured.
    """
    wanted = resolved_settings(backend, options)
    with _lock:
        for name, settings, store in _stores:
            if name == backend and settings == wanted:
                return store
        made = get_backend(backend, **options)
        _stores.append((backend, wanted, made))
        return made


def remember(backend: str, index: str, settings: Mapping[str, Any]) -> None:
    """Keeps, in this process, the settings with which an index was found."""
    if settings:
        _given[backend, index] = dict(settings)


def remembered(backend: str, index: str | None) -> dict[str, Any]:
    """The settings with which an index was found last."""
    return {} if index is None else _given.get((backend, index), {})


def close_stores() -> None:
    """Closes every store that an index of this process uses.

    An index opens its store again when it is used next. What an in-memory store held is gone.
    """
    global _closings  # noqa: PLW0603  # one set of stores a process
    with _lock:
        closing, _stores[:] = list(_stores), []
        _closings += 1
    for _, _, store in closing:
        store.close()
