"""Where the store of a run is, and the stores that this process has open.

The place of a store that is a file of this machine needs no credentials, so it is kept with a run,
absolute, from whatever source it came: every process finds the records, whatever its folder and its
configuration.

Indexes with the same settings share a store: an in-memory store exists only here, and a Milvus
Lite file can be open only once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vecbridge import ConfigurationError, MissingDependencyError, Store, get_backend
from vecbridge._config._registry import (
    backend_entry,
    configured,
    describe_settings,
    load_backend,
)
from vecbridge._config._sources import as_keywords
from vecbridge.fiftyone._same_names import SAME_NAMES
from vecbridge.locks import reentrant_lock
from vecbridge.settings import ResolvedSetting, Settings

_KEYWORD = re.compile(r"\w+\s*=")
"""The beginning of an address in libpq's form, ``host=... password=...``."""

PLACES = frozenset({"path", "uri"})
"""Settings that may name a file of this machine."""

_ADDRESSES = ("uri", "url")
"""Settings that may name a server; a backend that has one of them, and a path too, takes either."""

INDEX_LEVEL = frozenset({"metric", "consistency_level"})
"""Settings that FiftyOne's configuration holds itself, since they are facts of one index."""

_SOCKET = "unix:"

ACCESS = (
    *("user", "password", "token", "secure", "server_name", "db_name"),
    *("client_key_path", "client_pem_path", "ca_pem_path", "server_pem_path"),
)
"""Settings that say who asks a server and how, next to those that a backend declares as secrets."""

_stores: list[tuple[str, Settings, Store]] = []
_lock = reentrant_lock()
_closings = 0
_given: dict[tuple[str, str], dict[str, Any]] = {}
"""Settings that were given for an index. FiftyOne forgets a loaded run whenever it reloads its
dataset, and with it what the user had said."""


def absolute_place(name: str, value: Any) -> Any:
    """Return the value of a setting; a path so that it is right in another process, elsewhere."""
    if name in PLACES and isinstance(value, (str, os.PathLike)) and value != ":memory:":
        text = os.fspath(value)
        local = isinstance(value, os.PathLike) or is_local(name, text)
        return str(Path(text).expanduser().absolute()) if local else value
    return value


def is_local(name: str, text: str) -> bool:
    """Return whether a place is a file or a folder of this machine, or its memory.

    A ``path`` is one; a ``uri`` is one where it is written as one. An account before a
    host, as in ``root:password@host/v.db``, may be a secret, and so may what follows a keyword, as
    in ``host=/run password=...``: where it is meant as a path, it is written as one that begins
    with ``/``, ``~`` or ``.``.
    """
    if text == ":memory:":
        return True
    if "://" in text or not text or (name != "path" and _KEYWORD.match(text.lstrip())):
        return False
    if text.startswith((os.sep, "~", f".{os.sep}", f"..{os.sep}")):
        return True
    account = text.partition("@")[0] if "@" in text else ""
    if ":" in account or text.startswith(_SOCKET):
        return False
    if name == "path" or text.endswith(".db"):
        return True
    host, separator, _ = text.partition(os.sep)
    return bool(separator) and ":" not in host


def kept_places(given: Mapping[str, Any]) -> list[str]:
    """Return which of the settings of a run name a file of this machine."""
    there = (name for name in sorted(PLACES) if given.get(name) is not None)
    return [name for name in there if is_local(name, str(given[name]))]


def local_places(settings: Settings) -> dict[str, str]:
    """Return the places of this machine that complete settings name, absolute."""
    values = {name: getattr(settings, name) for name in PLACES & type(settings).model_fields.keys()}
    return {
        name: str(absolute_place(name, value))
        for name, value in values.items()
        if isinstance(value, (str, os.PathLike)) and is_local(name, os.fspath(value))
    }


def place_setting(backend: str, place: str) -> str | None:
    """Return the setting of a backend that takes a place; ``None`` where it has none for such."""
    names = setting_names(backend)
    address = next((name for name in _ADDRESSES if name in names), None)
    if "path" in names and (address is None or is_local(address, place)):
        return "path"
    return address


def settings_of_another_store(
    backend: str, given: Mapping[str, Any], section: Mapping[str, Any]
) -> frozenset[str]:
    """Return the settings that are configured for another store than a run's: its address and keys.

    A file that is kept with a run is where the run is, whatever else is configured. Credentials
    that stand beside another place are for that one, and those that stand alone are for the
    server that the backend has as its default.

    ``given`` is what the run was loaded with, ``section`` FiftyOne's parameters of the backend in
    this process.
    """
    for kept in kept_places(given):
        place = {} if section.get(kept) is None else {kept: section[kept]}
        described = _described(backend, **place)
        if kept not in described:
            continue
        value, source = described[kept].value, described[kept].source
        servers = frozenset(_ADDRESSES) & described.keys() - {kept}
        if source.kind == "default":
            same = value is None or is_local(kept, str(value))
        else:
            same = absolute_place(kept, value) == given[kept]
        if servers or not same:
            access = {n for n, item in described.items() if item.secret or n in ACCESS}
            return frozenset(access | servers)
    return frozenset()


def lost_index_hint(backend: str, given: Mapping[str, Any]) -> str:
    """Return what a message adds where the store of a loaded run does not have its index.

    It names the file that was looked into, and the place that is configured instead, if one is; no
    address of a server.
    """
    configured: dict[str, tuple[str | None, str]] = {}
    for name, item in _described(backend).items():
        if name in PLACES and item.source.kind in {"environment", "file"}:
            local = is_local(name, str(item.value))
            place = str(absolute_place(name, item.value)) if local else None
            configured[name] = place, str(item.source)
    if all(given.get(name) is None for name in PLACES):
        leads = [f"{source} leads to {place!r}" for place, source in configured.values() if place]
        about = "The address of a server is not kept with a run"
        return f". {about}, and {' and '.join(leads)}" if leads else ""
    for kept in kept_places(given):
        hint = f". It was looked for in {given[kept]!r}, which is kept with the run"
        place, source = configured.get(kept, (None, ""))
        if not source or place == given[kept]:
            return hint
        if place is None:
            return f"{hint}, and not at the address of {source}"
        return (
            f"{hint}, and not in {place!r} of {source}. If the store was moved, pass "
            f"{kept}={place!r} to load_brain_results(); save_config() of what it returns keeps that"
        )
    return ""


def _described(backend: str, **options: Any) -> dict[str, ResolvedSetting]:
    """Return the configured settings by name; none where they are unusable."""
    try:
        return {item.name: item for item in describe_settings(backend, **options)}
    except (ConfigurationError, MissingDependencyError):
        return {}


def resolved_settings(backend: str, options: Mapping[str, Any]) -> Settings:
    """Return the settings of a store; what is not given is read from where it is configured."""
    return configured(backend, as_keywords(dict(options)))[1].settings


@lru_cache
def settings_type(backend: str) -> type[Settings]:
    """Return the class of a backend's settings; errors are those of :func:`setting_names`."""
    kind: type[Settings] = load_backend(backend_entry(backend)).settings_type
    return kind


def setting_names(backend: str) -> frozenset[str]:
    """Return the names of a backend's settings.

    Raises:
        UnknownBackendError: the backend is not installed.
        MissingDependencyError: a package that it needs is not.
    """
    return frozenset(settings_type(backend).model_fields) - INDEX_LEVEL


def with_default_path(backend: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, with a durable directory where a local backend is given no other.

    The directory is beside FiftyOne's own configuration. A backend that takes the address of a
    server has a server as its default.
    """
    place = _folder_setting(backend)
    if place is None or options.get(place) is not None:
        return dict(options)
    if is_configured(backend, place):
        return dict(options)
    config = os.environ.get("FIFTYONE_CONFIG_PATH")
    home = Path(config).parent if config else Path.home() / ".fiftyone"
    return {**options, place: str(home / "vecbridge" / backend)}


def is_configured(backend: str, name: str) -> bool:
    """Return whether the environment or ``brain_config.json`` say what a setting is."""
    try:
        described = list(describe_settings(backend))
    except ConfigurationError:
        # Something is missing that the caller may give; get_backend says so if that is not done.
        return False
    return any(item.name == name and item.source.kind != "default" for item in described)


def _folder_setting(backend: str) -> str | None:
    """Return the setting that names the folder of a backend that has no server."""
    about = SAME_NAMES.get(backend)
    if about is not None and about.folder_setting is not None:
        return about.folder_setting
    names = setting_names(backend)
    return "path" if "path" in names and names.isdisjoint(_ADDRESSES) else None


def shared_store(backend: str, options: Mapping[str, Any]) -> Store:
    """Return the store with these settings, opened once in this process."""
    wanted = resolved_settings(backend, options)
    with _lock:
        for name, settings, store in _stores:
            if name == backend and settings == wanted:
                return store
        made = get_backend(backend, **options)
        _stores.append((backend, wanted, made))
        return made


def remember(backend: str, index: str, settings: Mapping[str, Any]) -> None:
    """Keep, in this process, the settings with which an index was found."""
    if settings:
        _given[backend, index] = dict(settings)


def remembered(backend: str, index: str | None) -> dict[str, Any]:
    """Return the settings with which an index was found last."""
    return {} if index is None else _given.get((backend, index), {})


def closings() -> int:
    """Return how often :func:`close_stores` was called: what is older is closed."""
    return _closings


def close_stores() -> None:
    """Close every store that an index of this process uses.

    An index reopens its store when it is next used. The contents of in-memory stores are lost.
    """
    global _closings  # noqa: PLW0603  # one set of stores per process
    with _lock:
        closing, _stores[:] = list(_stores), []
        _closings += 1
    for _, _, store in closing:
        store.close()
