"""Set and unset settings of a backend in ``brain_config.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecbridge._addresses import resembles_address
from vecbridge._config._brain_config import BACKENDS, DEFAULT, read_brain_config
from vecbridge._config._editing import ConfigFile, config_file
from vecbridge._config._names import (
    PREFIX,
    every_section,
    listed,
    registered_name,
    section_names,
    suggestion,
)
from vecbridge._config._origin import absolute_values
from vecbridge._config._registry import backend_entry, backend_names, load_backend
from vecbridge._config._settings import (
    FIFTYONE_KEYS,
    Settings,
    checked_settings,
    is_secret,
    problem_of,
    refuse_unknown,
)
from vecbridge._config._sources import (
    DEFAULT_BACKEND,
    Given,
    Source,
    agreed,
    declared_backends,
    environment_settings,
    variable_name,
)
from vecbridge._errors import ConfigurationError, InvalidArgumentError, UnknownSettingError
from vecbridge._redaction import hidden_parts, quoted

_FIFTYONES_OWN = frozenset({"sklearn"})
"""Backends whose plain name is FiftyOne's own backend: that refuses settings it does not know."""

_COMMAND = Source("keyword", "the command")


@dataclass(frozen=True)
class Change:
    """What was changed in the file.

    Attributes:
        path: the file.
        values: the settings that were set, and their values as they were written.
        secrets: which of them are secrets.
        overridden: the environment variables that win over what was set.
    """

    path: Path
    values: Mapping[str, Any]
    secrets: frozenset[str] = frozenset()
    overridden: tuple[str, ...] = ()


def set_settings(
    backend: str, texts: Mapping[str, str], *, allow_secrets: bool = False, default: bool = False
) -> Change:
    """Set settings of a backend in the file; all of them, or none.

    Args:
        backend: its name.
        texts: the settings; each value as the environment would have it.
        allow_secrets: write secrets too; then only its owner may read the file.
        default: make the backend the one that is meant where none is named.

    Raises:
        UnknownBackendError: the backend is not installed.
        UnknownSettingError: it has no such setting.
        ConfigurationError: a value is not what the backend accepts, or a secret, or the file cannot
            be read or written.
    """
    name, kind = _backend(backend)
    given = {key: Given(key, text, _COMMAND) for key, text in texts.items()}
    refuse_unknown(name, kind, given)
    if empty := [key for key, text in texts.items() if not text]:
        raise InvalidArgumentError(
            f"no value is given for {listed(empty)}; `vecbridge config unset {name} {empty[0]}` "
            f"removes a setting from the file"
        )
    secrets = frozenset(
        key for key, text in texts.items() if is_secret(kind, key) or _holds_credentials(text)
    )
    if secrets and not allow_secrets:
        raise _plain_secret(name, sorted(secrets))
    with config_file(os.environ) as file:
        values = _values(name, kind, given)
        for key, value in values.items():
            for section in _sections_to_set(file, name, key):
                section[key] = value
        if default:
            file.content[DEFAULT] = name
        file.save(private=bool(secrets))
    variables = [variable_name(name, key) for key in values]
    if default:
        variables.append(DEFAULT_BACKEND)
    overridden = tuple(each for each in variables if os.environ.get(each))
    return Change(file.path, values, secrets, overridden)


def unset_settings(backend: str, keys: Iterable[str]) -> Change:
    """Take settings of a backend out of the file, also such as the backend does not know.

    Raises:
        UnknownBackendError: the backend is not installed.
        UnknownSettingError: the file does not set one of them; then it is not changed.
        ConfigurationError: the file cannot be read or written.
    """
    name = _registered(backend)
    wanted = list(dict.fromkeys(keys))
    with config_file(os.environ) as file:
        known = list(dict.fromkeys(key for each in _sections_of(file, name) for key in each))
        if absent := [key for key in wanted if key not in known]:
            said = "; ".join(f"{quoted(key)}{suggestion(key, known)}" for key in absent)
            raise UnknownSettingError(
                f"{file.path} does not set {said} of backend {name!r}. It sets: {listed(known)}"
            )
        _take_out(file, name, set(wanted))
        file.save()
    return Change(file.path, {})


def _backend(backend: str) -> tuple[str, type[Settings]]:
    name = _registered(backend)
    kind: type[Settings] = load_backend(backend_entry(name)).settings_type
    return name, kind


def _registered(backend: str) -> str:
    name = registered_name(backend, backend_names())
    backend_entry(name)
    return name


def _holds_credentials(text: str) -> bool:
    """Return whether a value that is not declared as a secret has an address with one in it."""
    return any(map(resembles_address, hidden_parts(_guessed(text))))


def _plain_secret(backend: str, keys: list[str]) -> ConfigurationError:
    variables = " and ".join(variable_name(backend, key) for key in keys)
    return ConfigurationError(
        f"{listed([repr(key) for key in keys])} of backend {backend!r} would be a secret in plain "
        f"text in {read_brain_config(os.environ).path}, and nothing was written. Set the "
        f"environment variable {variables} instead; --allow-secret writes it anyway, to a "
        f"file that only its owner can read"
    )


def _values(backend: str, kind: type[Settings], new: Mapping[str, Given]) -> dict[str, Any]:
    """Return the values of settings as JSON has them, checked together with what else is in force.

    Raises:
        ConfigurationError: the backend does not accept one of them.
    """
    given = {**_in_force(backend, kind), **new}
    checked = checked_settings(kind, given)
    if not isinstance(checked, Settings):
        # What else is wrong was so before.
        ours = [each for each in checked if not each[0] or each[0][0] in new]
        if ours:
            lines = [problem_of(backend, kind, given, *each) for each in ours]
            raise ConfigurationError(f"backend {backend!r}: {'; '.join(lines)}")
        return {key: _guessed(item.value) for key, item in new.items()}
    found = absolute_values(checked)
    return {key: _as_json(found[key], item.value) for key, item in new.items()}


def _in_force(backend: str, kind: type[Settings]) -> dict[str, Given]:
    file = read_brain_config(os.environ)
    names = section_names(backend)
    known = every_section(backend_names()) | set(file.sections) | declared_backends(os.environ)
    foreign = FIFTYONE_KEYS - kind.model_fields.keys()
    sources = (file.settings(names), environment_settings(os.environ, names, known))
    return {
        key: item
        for source in sources
        for key, item in agreed(backend, source).items()
        if key not in foreign and key in kind.model_fields
    }


def _as_json(value: Any, text: str) -> Any:
    """Return a checked value for the file: numbers, booleans, lists and objects as what they are.

    A path is absolute there. Any other value is written as the user wrote it: what a backend makes
    of a text is its own.
    """
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping | list | tuple):
        found = _guessed(text)
        return found if isinstance(found, dict | list) else text
    is_path = isinstance(value, str) and value == str(Path(text).expanduser().absolute())
    return value if is_path else text


def _guessed(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(found, str) or found is None else found


def _sections_of(file: ConfigFile, backend: str) -> Iterator[dict[str, Any]]:
    """Yield the sections of the backend that are there."""
    sections = file.content.get(BACKENDS) or {}
    for name in section_names(backend):
        if isinstance(sections.get(name), dict):
            yield sections[name]


def _sections_to_set(file: ConfigFile, backend: str, key: str) -> list[dict[str, Any]]:
    """Return the sections that have a key; where none has it, the one that is to have it."""
    having = [section for section in _sections_of(file, backend) if key in section]
    if having:
        return having
    if not isinstance(file.content.get(BACKENDS), dict):
        file.content[BACKENDS] = {}
    sections = file.content[BACKENDS]
    names = [PREFIX + backend] if backend in _FIFTYONES_OWN else section_names(backend)
    name = next((each for each in names if isinstance(sections.get(each), dict)), names[0])
    if not isinstance(sections.get(name), dict):
        sections[name] = {}
    found: dict[str, Any] = sections[name]
    return [found]


def _take_out(file: ConfigFile, backend: str, keys: Iterable[str]) -> None:
    """Take keys out of the sections of the backend, and sections that are empty then."""
    sections = file.content[BACKENDS]
    for name in section_names(backend):
        section = sections.get(name)
        if isinstance(section, dict) and section.keys() & keys:
            sections[name] = {key: value for key, value in section.items() if key not in keys}
            if not sections[name]:
                del sections[name]
    if not sections:
        del file.content[BACKENDS]
