"""Registration that lasts: FiftyOne's ``brain_config.json``, edited and put back.

Only the names of classes and of the default backend are written, never a setting.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vecbridge import ConfigurationError, MissingDependencyError, backend_names
from vecbridge._config._brain_config import BACKENDS, DEFAULT, read_brain_config
from vecbridge._config._editing import (
    config_file,
    give_to_owner,
    refuse_protected,
    replace_file,
)
from vecbridge._config._registry import describe_settings
from vecbridge._config._sources import DEFAULT_BACKEND
from vecbridge.fiftyone._registration import (
    MODULE,
    chosen_backends,
    config_class,
    method_of,
    names_of,
    names_to_enable,
)
from vecbridge.fiftyone._stores import with_default_path

CLASS = "config_cls"
_BACKUP = ".before-vecbridge"
_JSON = (str, int, float, bool, type(None))


def enable_in_config(backend: str | None = None, *, default: bool = False) -> Path:
    """Make FiftyOne use vecbridge in every process from now on: unchanged scripts, and the App.

    Edit ``brain_config.json`` where FiftyOne reads it. Everything else in it stays, and a backup of
    the original file is kept beside it. Calling this again changes nothing.

    Args:
        backend: enable this one only; every installed backend by default.
        default: make ``backend`` the one that ``compute_similarity`` uses when none is named.

    Returns:
        The file.

    Raises:
        UnknownBackendError: the backend is not installed.
        ConfigurationError: the file is there, but cannot be read or written.
    """
    names = names_to_enable(backend, default=default)
    with config_file(os.environ) as file:
        content, path = file.content, file.path
        before = json.dumps(content)
        sections = _sections(content)
        fresh = not any(map(_is_ours, sections.values()))
        for name, each in names.items():
            sections[name] = {**(sections.get(name) or {}), CLASS: config_class(each)}
        if default:
            content[DEFAULT] = method_of(chosen_backends(backend)[0])
        if json.dumps(content) == before:
            return path
        refuse_protected(path)
        # The copy is of the file before vecbridge, however often this is done.
        if fresh and path.exists():
            # It may hold secrets: copy2 keeps it as private as it is.
            shutil.copy2(path, _backup_of(path))
            give_to_owner(_backup_of(path), path)
        file.save()
    return path


def disable_in_config() -> Path:
    """Undo :func:`enable_in_config`; keep other edits to the file.

    Runs that were created with vecbridge stay usable.

    Returns:
        The file; it is removed if vecbridge created it.

    Raises:
        ConfigurationError: the file is there, but cannot be read or written.
    """
    with config_file(os.environ) as file:
        content, path = file.content, file.path
        backup = _backup_of(path)
        sections = content.get(BACKENDS) or {}
        ours = [name for name, section in sections.items() if _is_ours(section)]
        if ours:
            refuse_protected(path)
            earlier = _earlier(backup)
            _take_out(content, ours, earlier)
            if content == earlier and backup.is_file():
                replace_file(path, backup.read_bytes())
            elif not content and not backup.exists():
                # Where it is a link, the link is the user's.
                path.resolve().unlink(missing_ok=True)
            else:
                file.save()
        backup.unlink(missing_ok=True)
    return path


def _take_out(content: dict[str, Any], ours: Sequence[str], earlier: Mapping[str, Any]) -> None:
    """Take vecbridge's entries out of the content, and put back what they replaced."""
    sections = content[BACKENDS]
    for name in ours:
        before = earlier.get(BACKENDS, {}).get(name, {})
        del sections[name][CLASS]
        if CLASS in before and not _is_ours(before):
            sections[name][CLASS] = before[CLASS]
        if not sections[name] and name not in earlier.get(BACKENDS, {}):
            del sections[name]
    if content.get(DEFAULT) in ours and content.get(DEFAULT) != earlier.get(DEFAULT):
        content.pop(DEFAULT)
        if DEFAULT in earlier:
            content[DEFAULT] = earlier[DEFAULT]
    if not sections and BACKENDS not in earlier:
        del content[BACKENDS]


def status() -> dict[str, Any]:
    """Return what FiftyOne is configured to use in a new process, and where that is configured.

    Returns:
        ``config`` (the file), ``default`` and ``default_source``, and for each installed backend
        its names in FiftyOne with their ``config_cls``, whether each is ``enabled``, and its
        settings with their sources; secrets are masked.

    Raises:
        ConfigurationError: the file is there, but cannot be read.
    """
    file = read_brain_config(os.environ)
    name, source = os.environ.get(DEFAULT_BACKEND), f"environment variable {DEFAULT_BACKEND}"
    if not name:
        name, source = file.default_backend, file.path
    return {
        "config": file.path,
        "default": name or "sklearn",
        "default_source": source if name else "FiftyOne's default",
        "backends": {each: _status_of(each, file.sections) for each in backend_names()},
    }


def _status_of(backend: str, sections: Mapping[str, Any]) -> dict[str, Any]:
    names = {}
    for name in names_of(backend):
        variable = f"FIFTYONE_BRAIN_SIMILARITY_{name.upper()}_CONFIG_CLS"
        section = sections.get(name)
        cls = section.get(CLASS) if isinstance(section, dict) else None
        source = "brain_config.json" if cls else "not configured"
        if os.environ.get(variable):
            cls, source = os.environ[variable], f"environment variable {variable}"
        names[name] = {CLASS: cls, "source": source, "enabled": cls == config_class(backend)}
    try:
        folder = with_default_path(backend, {})
        described = describe_settings(backend, **folder)
    except (ConfigurationError, MissingDependencyError) as error:
        return {"names": names, "settings": {}, "problem": str(error)}
    settings = {
        each.name: (each.value, "default" if each.name in folder else str(each.source))
        for each in described
    }
    return {
        "names": names,
        "settings": {
            name: {"value": value if isinstance(value, _JSON) else str(value), "source": source}
            for name, (value, source) in settings.items()
        },
    }


def _sections(content: dict[str, Any]) -> dict[str, Any]:
    """Return the sections of the backends in the content, which has them from now on."""
    if content.get(BACKENDS) is None:
        content[BACKENDS] = {}
    sections: dict[str, Any] = content[BACKENDS]
    return sections


def _is_ours(section: Any) -> bool:
    found = section.get(CLASS) if isinstance(section, dict) else None
    return isinstance(found, str) and found.startswith(f"{MODULE}.")


def _backup_of(path: Path) -> Path:
    return path.with_name(path.name + _BACKUP)


def _earlier(backup: Path) -> dict[str, Any]:
    if not backup.exists():
        return {}
    content = dict(read_brain_config({"FIFTYONE_BRAIN_CONFIG_PATH": str(backup)}).content)
    if BACKENDS in content:
        content[BACKENDS] = content[BACKENDS] or {}
    return content
