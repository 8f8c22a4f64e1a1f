"""Names that FiftyOne knows vecbridge's backends by, and their registration in this process."""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vecbridge import InvalidArgumentError, UnknownBackendError, backend_names
from vecbridge._config._brain_config import read_brain_config
from vecbridge._config._names import PREFIX, listed, registered_name, suggestion
from vecbridge._config._registry import backend_entry
from vecbridge._config._sources import DEFAULT_BACKEND
from vecbridge._redaction import quoted
from vecbridge.fiftyone._same_names import SAME_NAMES

MODULE = "vecbridge.fiftyone.similarity"

_CLASS = re.compile(r"([A-Z][A-Za-z0-9]*)Similarity(?:Config|Index)?")
_ABSENT: Any = object()
_before: dict[str | None, Any] = {}
"""FiftyOne's ``config_cls`` of each name before it was taken over; of ``None``, its default."""


def enable(backend: str | None = None, *, default: bool = False) -> list[str]:
    """Make FiftyOne use vecbridge, in this process.

    A name that FiftyOne has too, such as ``milvus``, then means vecbridge's backend, with the same
    parameters; every installed backend is also available as ``vecbridge_<name>``. FiftyOne's own
    ``sklearn`` is not changed, nor is a name whose vecbridge backend lacks packages, unless you
    name it. The configuration of the names is kept.

    Args:
        backend: enable this one only; every installed backend by default.
        default: make ``backend`` the one that ``compute_similarity`` uses when none is named.

    Returns:
        The names under which FiftyOne now uses vecbridge.

    Raises:
        UnknownBackendError: the backend is not installed, or the default that the environment or
            ``brain_config.json`` names is not one of FiftyOne's backends.
    """
    import fiftyone.brain as fob

    names = names_to_enable(backend, default=default)
    configured = fob.brain_config.similarity_backends
    wanted = (
        method_of(chosen_backends(backend)[0])
        if default
        else _configured_default({*configured, *names})
    )
    for name, each in names.items():
        section = configured.setdefault(name, {})
        _before.setdefault(name, section.get("config_cls", _ABSENT))
        section["config_cls"] = config_class(each)
    if wanted is not None:
        _before.setdefault(None, fob.brain_config.default_similarity_backend)
        fob.brain_config.default_similarity_backend = wanted
    return sorted(names)


def disable() -> None:
    """Undo :func:`enable`. Runs that were created with vecbridge stay usable."""
    import fiftyone.brain as fob

    configured = fob.brain_config.similarity_backends
    if None in _before:
        fob.brain_config.default_similarity_backend = _before.pop(None)
    for name, config_cls in _before.items():
        if config_cls is _ABSENT:
            configured.pop(name, None)
        else:
            configured[name]["config_cls"] = config_cls
    _before.clear()


def chosen_backends(backend: str | None, *, default: bool = False) -> list[str]:
    """Return the names of the backends that are meant: one, or every installed one.

    Raises:
        UnknownBackendError: it is not installed.
        InvalidArgumentError: it is to be the default, and none is named.
    """
    installed = backend_names()
    if backend is None and default:
        raise InvalidArgumentError(
            f"default=True makes one backend the default: name it, as in backend={installed[0]!r}"
        )
    if backend is None:
        return installed
    name = registered_name(backend, installed)
    if name not in installed:
        raise UnknownBackendError(
            f"no installed package provides a backend {quoted(backend)}"
            f"{suggestion(backend, installed)}. Installed backends: {listed(installed)}"
        )
    return [name]


def names_to_enable(backend: str | None, *, default: bool = False) -> dict[str, str]:
    """Return the names that become vecbridge's in FiftyOne, and the backend of each.

    Where every backend is meant, FiftyOne's own keeps its name if ours lacks packages: what a user
    has installed for FiftyOne's adapter goes on working.

    Raises:
        UnknownBackendError: the backend is not installed.
        InvalidArgumentError: it is to be the default, and none is named.
    """
    return {
        name: each
        for each in chosen_backends(backend, default=default)
        for name in names_of(each)
        if backend is not None or name not in SAME_NAMES or _has_packages(each)
    }


def config_class(backend: str) -> str:
    """Return the dotted path of a backend's configuration class, which is stable."""
    return f"{MODULE}.{_stem(backend)}SimilarityConfig"


def method_of(backend: str) -> str:
    """Return a backend's name in FiftyOne: that of FiftyOne's own, or one with a prefix."""
    return backend if backend in SAME_NAMES else PREFIX + backend


def names_of(backend: str) -> list[str]:
    """Return every name by which FiftyOne knows a backend."""
    return sorted({PREFIX + backend, method_of(backend)})


def backend_of(class_name: str) -> str | None:
    """Return the backend that a class of this name would be for, or ``None`` for other names.

    A run outlives its backend's package: with that uninstalled, its class still loads, so that the
    run can be listed and deleted, and says what is missing when it is used.
    """
    matched = _CLASS.fullmatch(class_name)
    if matched is None:
        return None
    stem = matched.group(1)
    installed = next((name for name in backend_names() if _stem(name) == stem), None)
    return installed or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()


def _configured_default(known: set[str]) -> str | None:
    """Return the default that is configured.

    Raises:
        UnknownBackendError: FiftyOne does not know it, and would silently take another one.
    """
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


def _has_packages(backend: str) -> bool:
    """Return whether what the extra of a backend asks for is installed; nothing is imported."""
    from packaging.requirements import Requirement

    entry = backend_entry(backend)
    for each in map(Requirement, (entry.dist.requires if entry.dist else None) or ()):
        if each.marker is not None and each.marker.evaluate({"extra": backend}):
            try:
                if not each.specifier.contains(version(each.name), prereleases=True):
                    return False
            except PackageNotFoundError:
                return False
    return True


def _stem(backend: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", backend))
