"""What commands saw of stores, kept so that the shell can complete it: that must not ask a server.

Names of settings, of indexes and of fields are kept, in the user's cache folder; no value is.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

from vecbridge._redaction import redacted

_MOST_STORES = 20
_MOST_INDEXES = 1000
_TEXTS = {bool: ("true", "false")}


def seen_settings(backend: str) -> Mapping[str, Sequence[str]]:
    """Return the settings of a backend, each with the words that it may be, if these are few."""
    found: Mapping[str, Sequence[str]] = _read().get("settings", {}).get(backend, {})
    return found


def seen_indexes(backend: str, options: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """Return the indexes of a store, each with its fields.

    Args:
        backend: name of the backend.
        options: the settings on the command line; where no store was seen with them, the indexes of
            all stores of the backend are returned.
    """
    stores: dict[str, dict[str, list[str]]] = _read().get("indexes", {}).get(backend, {})
    alone = stores.get(_store(backend, options))
    if alone is not None:
        return alone
    return {name: fields for store in stores.values() for name, fields in store.items()}


def saw_settings(backend: str, settings: type[Any]) -> None:
    """Keep the names of a backend's settings; ``settings`` is its class of them."""
    fields = settings.model_fields
    words = {
        name: [] if _is_secret(field.annotation) else _words(field.annotation)
        for name, field in fields.items()
    }
    with _changing() as seen:
        seen.setdefault("settings", {})[backend] = words
        seen.setdefault("secrets", {})[backend] = [
            name for name, field in fields.items() if _is_secret(field.annotation)
        ]


def saw_indexes(backend: str, options: Mapping[str, str], names: Iterable[str]) -> None:
    """Keep the names of all indexes of a store."""
    with _changing() as seen:
        store = _store_in(seen, backend, options)
        before = dict(store)
        store.clear()
        store.update({name: before.get(name, []) for name in list(names)[:_MOST_INDEXES]})


def saw_index(
    backend: str, options: Mapping[str, str], name: str, fields: Iterable[str] = ()
) -> None:
    """Keep the name of an index, and those of its fields."""
    with _changing() as seen:
        _store_in(seen, backend, options)[name] = list(fields)


def dropped_index(backend: str, options: Mapping[str, str], name: str) -> None:
    """Forget an index."""
    with _changing() as seen:
        _store_in(seen, backend, options).pop(name, None)


def _store_in(
    seen: dict[str, Any], backend: str, options: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return what is kept of a store, which becomes the last of its backend to be forgotten."""
    stores = seen.setdefault("indexes", {}).setdefault(backend, {})
    name = _store(backend, options)
    stores[name] = stores.pop(name, {})
    while len(stores) > _MOST_STORES:
        del stores[next(iter(stores))]
    found: dict[str, list[str]] = stores[name]
    return found


def _store(backend: str, options: Mapping[str, str]) -> str:
    """Return a name for a store: a hash of its settings, less all that may be a secret."""
    secrets = _read().get("secrets", {}).get(backend, [])
    shown = sorted((key, redacted(value)) for key, value in options.items() if key not in secrets)
    return hashlib.blake2b(json.dumps(shown).encode(), digest_size=8).hexdigest()


def _words(annotation: Any) -> list[str]:
    """Return the words of a literal or a boolean type, whatever it is wrapped in."""
    if annotation in _TEXTS:
        return list(_TEXTS[annotation])
    found = []
    for part in get_args(annotation):
        found += [part] if isinstance(part, str) else _words(part)
    return found


def _is_secret(annotation: Any) -> bool:
    return hasattr(annotation, "get_secret_value") or any(map(_is_secret, get_args(annotation)))


def _path() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(home) / "vecbridge" / "seen.json"


def _read() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_path().read_bytes())
        if isinstance(found, dict):
            return found
    return {}


@contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Yield what is kept, and keep it as the block leaves it, where that is possible."""
    seen = _read()
    before = json.dumps(seen)
    # A file that another version wrote may hold anything, and the folder may be locked.
    with suppress(OSError, AttributeError, TypeError):
        yield seen
        if json.dumps(seen) != before:
            _write(json.dumps(seen))


def _write(text: str) -> None:
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
