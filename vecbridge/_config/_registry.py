"""Find a backend by name, import it, read its settings, and put the client layer before it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from vecbridge._config._names import (
    every_section,
    listed,
    registered_name,
    section_names,
    suggestion,
)
from vecbridge._config._sources import DEFAULT_BACKEND, as_keywords
from vecbridge._errors import (
    AmbiguousBackendError,
    ConfigurationError,
    InvalidArgumentError,
    MissingDependencyError,
    UnknownBackendError,
    VecbridgeError,
)

# More is imported where it is used: ``import vecbridge`` does without.
if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint
    from types import CodeType

    from vecbridge._client import Store
    from vecbridge._config._brain_config import BrainConfig
    from vecbridge._config._settings import Resolved, ResolvedSetting, Settings
    from vecbridge._config._sources import Given
    from vecbridge._contract._protocols import Backend

_GROUP = "vecbridge.backends"
_DEFAULT = "sklearn"


def backend_names() -> list[str]:
    """Return names of the installed backends, sorted; none of them is imported."""
    return sorted({entry.name for entry in _entries()})


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
    return store_of(name, as_keywords(options))


def store_of(name: str | None, given: Mapping[str, Given]) -> Store:
    """Return a configured store, as :func:`get_backend` does, from settings with their source."""
    from vecbridge._client import Store
    from vecbridge._config._origin import Origin

    kind, resolved = configured(name, given)
    return Store(
        built(kind, resolved.settings),
        metric=resolved.settings.metric or "cosine",
        consistency=resolved.settings.consistency_level,
        origin=None if resolved.settings.in_memory else Origin(resolved),
        single_writer=resolved.settings.single_writer,
    )


def describe_settings(name: str | None = None, **options: Any) -> list[ResolvedSetting]:
    """Return every setting that :func:`get_backend` would use, and its source; secrets are masked.

    Arguments and errors are those of :func:`get_backend`.
    """
    return configured(name, as_keywords(options))[1].described()


def configured(name: str | None, given: Mapping[str, Given]) -> tuple[type[Any], Resolved]:
    """Return the class of the backend that is meant, and its settings."""
    from vecbridge._config._brain_config import read_brain_config

    file = read_brain_config(os.environ)
    registered = backend_names()
    asked, asked_by = _chosen(name, file)
    backend = registered_name(asked, registered)
    entry = backend_entry(backend, asked_by)
    # Before the import: a caller who configured another backend, in vain, need not install this.
    file.refuse_respelled(section_names(backend), every_section(registered))
    kind = load_backend(entry)

    from vecbridge._config._settings import resolve

    resolved = resolve(backend, kind.settings_type, given, registered=registered, file=file)
    return kind, resolved


def _chosen(name: str | None, file: BrainConfig) -> tuple[str, str]:
    """Return the backend that is meant, and who says so if not the caller."""
    if name is not None:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a backend is named by a string; got {type(name).__name__}")
        return name, ""
    if os.environ.get(DEFAULT_BACKEND):
        return os.environ[DEFAULT_BACKEND], f" (environment variable {DEFAULT_BACKEND})"
    if file.default_backend is not None:
        return file.default_backend, f" (default in {file.path})"
    return _DEFAULT, ""


def built(kind: type[Any], settings: Settings) -> Backend:
    """Return the backend of a class with its settings."""
    try:
        backend: Backend = kind(settings)
        # It may be a property, of a third party's.
        _ = backend.name
    except VecbridgeError:
        raise
    except Exception as error:  # whatever a third party's class raises
        if _is_of_signal_handler(error):
            raise
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


def backend_entry(name: str, asked_by: str = "") -> EntryPoint:
    """Return the one entry point of that name.

    Args:
        name: the backend's.
        asked_by: where the name comes from, for the message, if not from the caller.

    Raises:
        UnknownBackendError: no installed package provides it.
        AmbiguousBackendError: more than one package does.
    """
    entries = [entry for entry in _entries() if entry.name == name]
    if len(entries) > 1:
        providers = listed(sorted(f"{_provider(entry)} ({entry.value})" for entry in entries))
        raise AmbiguousBackendError(
            f"backend {name!r} is provided by more than one package: {providers}. Uninstall all "
            f"but one of them"
        )
    if not entries:
        from vecbridge._redaction import quoted

        known = backend_names()
        raise UnknownBackendError(
            f"no installed package provides a backend {quoted(name)}{asked_by}"
            f"{suggestion(name, known)}. Installed backends: {listed(known)}"
        )
    return entries[0]


def _entries() -> tuple[EntryPoint, ...]:
    """Return the entry points of every backend: read again where something was installed since.

    Reading takes tens of milliseconds where many packages are installed.
    """
    return _entries_in(tuple((place, _changed(place)) for place in sys.path))


@lru_cache(maxsize=1)
def _entries_in(_: tuple[tuple[str, int | None], ...]) -> tuple[EntryPoint, ...]:
    from importlib.metadata import distributions, entry_points

    with _UnreadableLeftOut():
        return tuple(entry_points(group=_GROUP))
    found = [entry for each in distributions() for entry in _readable_entries(each)]
    # The first of a name on the path hides the others, which may be listed with it.
    return tuple(dict.fromkeys(found))


def _readable_entries(distribution: Distribution) -> list[EntryPoint]:
    with _UnreadableLeftOut():
        return [entry for entry in distribution.entry_points if entry.group == _GROUP]
    return []


class _UnreadableLeftOut:
    """Ends its block where metadata cannot be read: any package's may hold anything."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, Exception) and not _is_of_signal_handler(error)


def _changed(place: str) -> int | None:
    """Return when something was last installed in, or removed from, a place on the path."""
    try:
        return os.stat(place or ".").st_mtime_ns  # noqa: PTH116 - pathlib's takes longer
    except OSError:
        return None


def load_backend(entry: EntryPoint) -> type[Any]:
    """Import the backend's class.

    Raises:
        MissingDependencyError: a package that the backend imports is not installed.
        ConfigurationError: importing it fails in any other way, even by asking to end the process,
            or the entry point does not name a backend.
        BaseException: whatever a signal handler raises meanwhile, unchanged.
    """
    handlers = set() if entry.module in sys.modules else _signal_handlers()
    try:
        kind = entry.load()
        settings = getattr(kind, "settings_type", None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if _is_of_signal_handler(error, handlers):
            raise
        own = entry.module.partition(".")[0]
        if (
            isinstance(error, ModuleNotFoundError)
            and _is_absent_package(error)
            and error.name != own
        ):
            raise _missing(error, entry) from error
        raise _broken(error, entry) from error
    from vecbridge._config._settings import Settings

    if not (
        isinstance(kind, type) and isinstance(settings, type) and issubclass(settings, Settings)
    ):
        raise ConfigurationError(
            f"entry point {entry.name!r} of {_provider(entry)} names {entry.value}, which is not a "
            f"backend class: its settings_type must be a subclass of vecbridge.settings.Settings"
        )
    return kind


@contextmanager
def dependencies_of(backend: str) -> Iterator[None]:
    """Say what to install where a package is missing; put the late imports of a backend inside.

    Args:
        backend: the backend's registered name.

    Raises:
        MissingDependencyError: a package is not installed. Other import errors come through.

    Example:
        >>> with dependencies_of("sklearn"):
        ...     import json
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not _is_absent_package(error):
            raise
        raise _missing(error, backend_entry(backend)) from error


def _is_of_signal_handler(error: BaseException, before: Collection[CodeType] = ()) -> bool:
    """Return whether a signal handler raised an error, in the middle of other code.

    Args:
        error: as it was caught.
        before: what :func:`_signal_handlers` returned before; a handler may replace itself.
    """
    from traceback import walk_tb

    handlers = {*before, *_signal_handlers()}
    return any(frame.f_code in handlers for frame, _ in walk_tb(error.__traceback__))


def _signal_handlers() -> set[CodeType]:
    """Return the code of every signal handler that is written in Python."""
    import signal

    found = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        while isinstance(handler, partial):
            handler = handler.func
        # What the operating system does by default is no callable, but a number.
        if callable(handler):
            call = handler if hasattr(handler, "__code__") else type(handler).__call__
            found.add(getattr(call, "__code__", None))
    return {code for code in found if code is not None}


def _is_absent_package(error: ModuleNotFoundError) -> bool:
    """Return whether a whole package is absent, not a submodule of an unfit version."""
    return isinstance(error.name, str) and "." not in error.name


def _broken(error: BaseException, entry: EntryPoint) -> ConfigurationError:
    from vecbridge._redaction import error_message

    return ConfigurationError(
        f"backend {entry.name!r} cannot be used: the package {_provider(entry)} fails when "
        f"{entry.value} is imported ({error_message(error)}). Upgrade or uninstall it, or tell its "
        f"authors"
    )


def _missing(error: ModuleNotFoundError, entry: EntryPoint) -> MissingDependencyError:
    return MissingDependencyError(
        f"backend {entry.name!r} needs the package {error.name!r}, which is not installed: "
        f'pip install "{_requirement(entry)}"',
        name=error.name,
    )


def _requirement(entry: EntryPoint) -> str:
    provider = _provider(entry)
    with _UnreadableLeftOut():
        if entry.dist and entry.name in (entry.dist.metadata.get_all("Provides-Extra") or ()):
            return f"{provider}[{entry.name}]"
    return provider


def _provider(entry: EntryPoint) -> str:
    """Return the name of the distribution, or of its module where the metadata cannot be read."""
    with _UnreadableLeftOut():
        if entry.dist and entry.dist.name:
            return entry.dist.name
    return entry.value.partition(".")[0].partition(":")[0]
