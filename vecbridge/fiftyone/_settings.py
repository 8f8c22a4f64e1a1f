"""Which keyword arguments are a backend's settings, and which of them are configured elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vecbridge._config._loading import backend_entry, load_backend
from vecbridge._config._names import listed, section_names, suggestion
from vecbridge._config._registry import describe_settings
from vecbridge._config._settings import Settings
from vecbridge._errors import ConfigurationError, UnknownSettingError
from vecbridge._redaction import quoted

INDEX_LEVEL = frozenset({"metric", "consistency_level"})
"""Settings that FiftyOne's configuration holds itself, since they are facts of one index."""

PLACES = frozenset({"path", "uri"})
"""Settings that may name a file of this machine."""


_SOCKET = "unix:"


def setting_names(backend: str) -> frozenset[str]:
    """Names of a backend's settings.

    Raises:
        UnknownBackendError: it is not installed.
        MissingDependencyError: a package that it needs is not.
    """
    return frozenset(_settings_type(backend).model_fields) - INDEX_LEVEL


def refuse_unknown(backend: str, names: Collection[str], known: Collection[str]) -> None:
    """Refuses arguments that nobody knows, by name only: their values may be secrets.

    Raises:
        UnknownSettingError: there is one; the message names the nearest that is known.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        # What is wrong in the environment or in brain_config.json is told with its place.
        _check_configuration(backend)
        found = ", ".join(f"{quoted(name)}{suggestion(name, known)}" for name in unknown)
        raise UnknownSettingError(
            f"FiftyOne similarity backend {backend!r} has no parameter {found}. "
            f"Known parameters: {listed(sorted(known))}. Nothing was stored"
        )


def without_other_backends(
    method: str, backend: str, values: Mapping[str, Any], known: Collection[str]
) -> dict[str, Any]:
    """The values without those of a backend whose name begins like this one's.

    FiftyOne takes ``FIFTYONE_BRAIN_SIMILARITY_MILVUS_LITE_TOKEN`` for a ``lite_token`` of
    ``milvus``, even where ``milvus_lite`` is a backend of its own.

    Raises:
        UnknownSettingError: such a variable belongs to no other backend.
    """
    prefix = f"FIFTYONE_BRAIN_SIMILARITY_{method.upper()}_"
    foreign = {name for name in values if name not in known and prefix + name.upper() in os.environ}
    if foreign:
        _check_configuration(backend)
    return {name: value for name, value in values.items() if name not in foreign}


def said_here(
    backend: str,
    values: Mapping[str, Any],
    section: Mapping[str, Any],
    configured: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:
    """The values that only this process knows of.

    FiftyOne passes on what it read from the environment and ``brain_config.json``, with its own
    guess at the types: a password ``12345`` arrives as a number. vecbridge reads both places
    itself, so such values are left to it. What a program has set in FiftyOne's ``brain_config``
    is in neither, and holds against both.

    Args:
        backend: the backend's name.
        values: arguments that FiftyOne or the caller gave.
        section: FiftyOne's parameters of the backend.
        configured: what they would be if FiftyOne read both places now.
    """
    repeated = _alike(values, section)
    if repeated:
        others = {key: value for key, value in values.items() if key not in repeated}
        described = describe_settings(backend, **others)
        repeated &= {item.name for item in described if item.source.kind in ("environment", "file")}
    if repeated:
        repeated &= _alike(section, configured())
    return {key: value for key, value in values.items() if key not in repeated}


def _alike(values: Mapping[str, Any], others: Mapping[str, Any]) -> set[str]:
    return {key for key, value in values.items() if key in others and others[key] == value}


def fiftyone_section(method: str, backend: str, *, afresh: bool = False) -> dict[str, Any]:
    """FiftyOne's parameters of a backend, under any of its names.

    Args:
        method: the backend's name in FiftyOne.
        backend: its name in vecbridge.
        afresh: as the environment and ``brain_config.json`` have them now, and not as this
            process has them.
    """
    import fiftyone.brain as fob
    from fiftyone.brain.config import load_brain_config

    config = load_brain_config() if afresh else fob.brain_config
    configured = config.similarity_backends
    merged: dict[str, Any] = {}
    for name in (method, *section_names(backend)):
        # FiftyOne's own sklearn backend has settings of its own, which are none of ours.
        if name != "sklearn":
            merged = {**configured.get(name, {}), **merged}
    return merged


def with_default_path(backend: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and a durable directory where a local backend is given no other."""
    if "path" not in setting_names(backend) or options.get("path") is not None:
        return dict(options)
    if any(item.name == "path" and item.source.kind != "default" for item in _described(backend)):
        return dict(options)
    return {**options, "path": str(default_path(backend))}


def default_path(backend: str) -> Path:
    """Where a local backend keeps its indexes: beside FiftyOne's own configuration."""
    config = os.environ.get("FIFTYONE_CONFIG_PATH")
    home = Path(config).parent if config else Path.home() / ".fiftyone"
    return home / "vecbridge" / backend


def stored_places(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings that a run may keep: files on this machine, never an address."""
    return {
        name: str(settings[name])
        for name in sorted(PLACES)
        if settings.get(name) is not None and is_local(name, str(settings[name]))
    }


def absolute_place(name: str, value: Any) -> Any:
    """A path that is still right when another process, elsewhere, reads it."""
    if name in PLACES and isinstance(value, (str, os.PathLike)) and value != ":memory:":
        text = os.fspath(value)
        local = isinstance(value, os.PathLike) or is_local(name, text)
        return str(Path(text).expanduser().absolute()) if local else value
    return value


def is_local(name: str, text: str) -> bool:
    """Whether a place is a file or a folder of this machine, or its memory.

    A ``path`` is one; a ``uri`` is one where it is written as one. An account before a
    host, as in ``root:password@host/v.db``, may be a secret: where it is meant as a path, it is
    written as one that begins with ``/``, ``~`` or ``.``.

    Args:
        name: of the setting.
        text: its value.
    """
    if text == ":memory:":
        return True
    if "://" in text or not text:
        return False
    if text.startswith((os.sep, "~", f".{os.sep}", f"..{os.sep}")):
        return True
    account = text.partition("@")[0] if "@" in text else ""
    if ":" in account or text.startswith(_SOCKET):
        return False
    return name == "path" or os.sep in text or text.endswith(".db")


def _check_configuration(backend: str) -> None:
    """Refuses what is misspelled where settings are configured; values are checked on use."""
    try:
        describe_settings(backend)
    except UnknownSettingError:
        raise
    except ConfigurationError:
        return


def _described(backend: str) -> list[Any]:
    try:
        return list(describe_settings(backend))
    except ConfigurationError:
        # Something is missing that the options may give; get_backend says so if they do not.
        return []


@lru_cache
def _settings_type(backend: str) -> type[Settings]:
    kind: type[Settings] = load_backend(backend_entry(backend)).settings_type
    return kind
