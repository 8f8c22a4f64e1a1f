"""Finds a backend by name, reads its settings, and puts the client layer before it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vecbridge._config._given import as_keywords
from vecbridge._errors import ConfigurationError, InvalidArgumentError, VecbridgeError

if TYPE_CHECKING:
    from vecbridge._client import Store
    from vecbridge._config._brain_config import BrainConfig
    from vecbridge._config._given import Given
    from vecbridge._config._resolve import Resolved, ResolvedSetting
    from vecbridge._config._settings import Settings
    from vecbridge._contract._protocols import Backend

_DEFAULT_BACKEND = "sklearn"


def backend_names() -> list[str]:
    """Return names of the installed backends, sorted; none of them is imported."""
    from vecbridge._config._loading import registered_backends

    return registered_backends()


def get_backend(name: str | None = None, **options: Any) -> Store:
    """Return a configured store. Connects on first use, not here.

    Each setting comes from the strongest source that has it: keyword arguments; the environment
    variable ``FIFTYONE_BRAIN_SIMILARITY_<BACKEND>_<SETTING>``; ``similarity_backends.<backend>``
    of FiftyOne's ``brain_config.json`` (``~/.fiftyone``, or ``FIFTYONE_BRAIN_CONFIG_PATH``); the
    backend's default. FiftyOne need not be installed. ``None`` in any of them stands for the
    default.

    Args:
        name: an installed backend (:func:`vecbridge.backend_names`), which may be called by its
            name in FiftyOne (``vecbridge_milvus``). ``None`` takes FiftyOne's default similarity
            backend, from ``FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND``, the same file, or else
            ``sklearn``.
        options: settings of the backend.

    Raises:
        UnknownBackendError: no installed package provides the backend.
        AmbiguousBackendError: more than one does.
        MissingDependencyError: the backend needs a package that is not installed.
        UnknownSettingError: something is configured that the backend does not know.
        ConfigurationError: a value or the file is unusable.

    Example:
        >>> import vecbridge
        >>> vecbridge.get_backend("sklearn")
        <Store 'sklearn'>
    """
    from vecbridge._client import Store
    from vecbridge._config._origin import Origin

    kind, resolved = configured(name, as_keywords(options))
    return Store(
        built(kind, resolved.settings),
        metric=resolved.settings.metric or "cosine",
        consistency=resolved.settings.consistency_level,
        origin=None if resolved.settings.in_memory else Origin(resolved),
    )


def describe_settings(name: str | None = None, **options: Any) -> list[ResolvedSetting]:
    """Return every setting that :func:`get_backend` would use, and its source; secrets are masked.

    Arguments and errors are those of :func:`get_backend`.
    """
    return configured(name, as_keywords(options))[1].described()


def configured(name: str | None, given: Mapping[str, Given]) -> tuple[type[Any], Resolved]:
    """Return the class of the backend that is meant, and its settings."""
    from vecbridge._config._brain_config import read_brain_config
    from vecbridge._config._loading import backend_entry, load_backend, registered_backends
    from vecbridge._config._names import every_section, registered_name, section_names
    from vecbridge._config._resolve import resolve
    from vecbridge._config._translations import refuse_translations

    file = read_brain_config(os.environ)
    registered = registered_backends()
    asked, asked_by = _chosen(name, file)
    backend = registered_name(asked, registered)
    entry = backend_entry(backend, asked_by)
    # Before the import: who configured another backend, in vain, is not to install this one.
    refuse_translations(file.path, file.content, section_names(backend), every_section(registered))
    kind = load_backend(entry)
    resolved = resolve(backend, kind.settings_type, given, registered=registered, file=file)
    return kind, resolved


def built(kind: type[Any], settings: Settings) -> Backend:
    """Return the backend of a class with its settings."""
    try:
        backend: Backend = kind(settings)
        # It may be a property, of a stranger's.
        _ = backend.name
    except VecbridgeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class raises
        from vecbridge._redaction import error_message, hidden_parts

        values = list(vars(settings).values())
        secrets = [each for each in values if hasattr(each, "get_secret_value")]
        reason = error_message(error, [*secrets, *hidden_parts(values)])
    else:
        return backend
    # Not from the error: what it holds of the settings is not ours to show.
    declared = getattr(kind, "name", None)
    name = declared if isinstance(declared, str) else kind.__name__
    raise ConfigurationError(
        f"backend {name!r} fails when it is made ({reason}). "
        f"Upgrade or uninstall {kind.__module__.partition('.')[0]}, or tell its authors"
    )


def _chosen(name: str | None, file: BrainConfig) -> tuple[str, str]:
    """Return the backend that is meant, and who says so if not the caller."""
    from vecbridge._config._environment import DEFAULT_BACKEND

    if name is not None:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a backend is named by a string; got {type(name).__name__}")
        return name, ""
    if os.environ.get(DEFAULT_BACKEND):
        return os.environ[DEFAULT_BACKEND], f" (environment variable {DEFAULT_BACKEND})"
    if file.default_backend is not None:
        return file.default_backend, f" (default in {file.path})"
    return _DEFAULT_BACKEND, ""
