"""Importing one backend, and telling a missing package from a broken one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vecbridge._config._names import listed, suggestion
from vecbridge._errors import (
    AmbiguousBackendError,
    ConfigurationError,
    MissingDependencyError,
    UnknownBackendError,
)
from vecbridge._redaction import error_message, quoted

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "vecbridge.backends"


def registered_backends() -> list[str]:
    """Return names of the installed backends, sorted; none of them is imported."""
    return sorted({entry.name for entry in _entries()})


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
        known = registered_backends()
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

    try:
        return tuple(entry_points(group=GROUP))
    except Exception:  # noqa: BLE001 - of any package's entry_points.txt, which may hold anything
        found = [entry for each in distributions() for entry in _readable_entries(each)]
    # The first of a name on the path hides the others, which may be listed with it.
    return tuple(dict.fromkeys(found))


def _readable_entries(distribution: Distribution) -> list[EntryPoint]:
    try:
        return [entry for entry in distribution.entry_points if entry.group == GROUP]
    except Exception:  # noqa: BLE001 - this package's own fault, which must not be the others'
        return []


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
    """
    try:
        kind = entry.load()
        settings = getattr(kind, "settings_type", None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and _is_absent_package(error):
            own = entry.module.partition(".")[0]
            if error.name != own:
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


def _is_absent_package(error: ModuleNotFoundError) -> bool:
    """Return whether a whole package is absent, not a submodule of an unfit version."""
    return isinstance(error.name, str) and "." not in error.name


def _broken(error: BaseException, entry: EntryPoint) -> ConfigurationError:
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
    try:
        metadata = entry.dist.metadata if entry.dist is not None else None
        extras = metadata.get_all("Provides-Extra") if metadata is not None else None
    except Exception:  # noqa: BLE001 - metadata that is broken too
        extras = None
    return f"{provider}[{entry.name}]" if entry.name in (extras or ()) else provider


def _provider(entry: EntryPoint) -> str:
    """Return the name of the distribution, or of its module where the metadata cannot be read."""
    try:
        name = entry.dist.name if entry.dist is not None else None
    except Exception:  # noqa: BLE001 - a METADATA file may hold anything
        name = None
    return name or entry.value.partition(".")[0].partition(":")[0]
