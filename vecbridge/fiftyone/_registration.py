"""Making vecbridge's backends known to FiftyOne, in this process."""

from __future__ import annotations

import os
from typing import Any

from vecbridge._config._brain_config import read_brain_config
from vecbridge._config._environment import DEFAULT_BACKEND
from vecbridge._config._names import PREFIX, listed, registered_name, suggestion
from vecbridge._config._registry import backend_names
from vecbridge._errors import InvalidArgumentError, UnknownBackendError
from vecbridge._redaction import quoted
from vecbridge.fiftyone._naming import config_class, method_of

_ABSENT: Any = object()
_before: dict[str, Any] = {}
"""FiftyOne's ``config_cls`` of each name before it was taken over."""

_default_before: list[str] = []


def enable(backend: str | None = None, *, default: bool = False) -> list[str]:
    """Makes FiftyOne use vecbridge, in this process.

    ``backend="milvus"`` in FiftyOne then means vecbridge's Milvus backend, with the same
    parameters; every installed backend is there as ``vecbridge_<name>``. FiftyOne's own
    ``sklearn`` stays what it is. What is configured for the names stays configured.

    Args:
        backend: enable this one only; every installed backend by default.
        default: make ``backend`` the one that ``compute_similarity`` uses when none is named.

    Returns:
        The names that are now vecbridge's in FiftyOne.

    Raises:
        UnknownBackendError: the backend is not installed, or the default that the environment or
            ``brain_config.json`` names is none of FiftyOne's backends.
    """
    import fiftyone.brain as fob

    chosen = chosen_backends(backend)
    if default and backend is None:
        raise InvalidArgumentError(
            f"default=True makes one backend the default: name it, as in "
            f"enable({chosen[0]!r}, default=True)"
        )
    names = {name: each for each in chosen for name in (PREFIX + each, method_of(each))}
    configured = fob.brain_config.similarity_backends
    wanted = method_of(chosen[0]) if default else _configured_default({*configured, *names})
    for name, each in names.items():
        section = configured.setdefault(name, {})
        _before.setdefault(name, section.get("config_cls", _ABSENT))
        section["config_cls"] = config_class(each)
    if wanted is not None:
        if not _default_before:
            _default_before.append(fob.brain_config.default_similarity_backend)
        fob.brain_config.default_similarity_backend = wanted
    return sorted(names)


def disable() -> None:
    """Undoes :func:`enable`. Runs that were made with vecbridge stay usable."""
    import fiftyone.brain as fob

    configured = fob.brain_config.similarity_backends
    for name, config_cls in _before.items():
        if config_cls is _ABSENT:
            configured.pop(name, None)
        else:
            configured[name]["config_cls"] = config_cls
    _before.clear()
    if _default_before:
        fob.brain_config.default_similarity_backend = _default_before.pop()


def chosen_backends(backend: str | None) -> list[str]:
    """The backends that are meant: one, or every installed one.

    Raises:
        UnknownBackendError: it is not installed.
    """
    installed = backend_names()
    if backend is None:
        return installed
    name = registered_name(backend, installed)
    if name not in installed:
        raise UnknownBackendError(
            f"no installed package provides a backend {quoted(backend)}"
            f"{suggestion(backend, installed)}. Installed backends: {listed(installed)}"
        )
    return [name]


def _configured_default(known: set[str]) -> str | None:
    """The default that is configured: FiftyOne takes another one silently where it is unknown."""
    name = os.environ.get(DEFAULT_BACKEND)
    place = f"environment variable {DEFAULT_BACKEND}"
    if not name:
        file = read_brain_config(os.environ)
        name, place = file.default_backend, file.path
    if name is not None and name not in known:
        raise UnknownBackendError(
            f"{place} names the default similarity backend {quoted(name)}"
            f"{suggestion(name, known)}, which FiftyOne does not know. "
            f"Known backends: {listed(sorted(known))}"
        )
    return name
