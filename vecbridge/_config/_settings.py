"""Declare a backend's settings, and resolve them from all sources, each with where it is from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretBytes,
    SecretStr,
    ValidationError,
)

from vecbridge._addresses import MASK
from vecbridge._config._brain_config import BrainConfig
from vecbridge._config._names import every_section, listed, section_names, suggestion
from vecbridge._config._sources import (
    Given,
    Source,
    agreed,
    declared_backends,
    environment_settings,
    variable_name,
)
from vecbridge._contract._consistency import Consistency, parse_consistency
from vecbridge._contract._metric import Metric
from vecbridge._errors import ConfigurationError, UnknownSettingError
from vecbridge._redaction import (
    error_message,
    hidden_parts,
    is_ordinary,
    quoted,
    redacted,
    without_secrets,
)

FIFTYONE_KEYS = frozenset(
    {
        "config_cls",
        "embeddings_field",
        "patches_field",
        "roi_field",
        "model",
        "model_kwargs",
        "supports_prompts",
        "collection_name",
        "index_name",
        "table_name",
    }
)
"""Keys that FiftyOne itself reads in the same places: its class, and parameters of brain runs."""

_LONGEST_WORD = 20
"""Characters of a word that is shown where a number or one of a few words was expected."""


class Settings(BaseModel):
    """Base of every backend's settings.

    Declare a secret as :class:`pydantic.SecretStr`, so that no message or listing shows it.
    Settings are immutable, and their errors never show the rejected input.

    Attributes:
        metric: metric of new indexes that are created without one.
        consistency_level: default level of new indexes that are created without one; Milvus's names
            (``Session``, ``Eventually``) are accepted.

    Example:
        >>> class MySettings(Settings):
        ...     uri: str = "http://localhost:8080"
        ...     timeout: float = 10.0
        >>> MySettings(consistency_level="Strong", timeout="5").timeout
        5.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    metric: Metric | None = None
    consistency_level: Annotated[Consistency, BeforeValidator(parse_consistency)] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the records are in this process alone; then no store of it can be pickled."""
        return False

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting whose value is the store's file or folder on this machine.

        ``None`` for a server and for a store in memory. A sample that is written to measure a store
        whose place is empty is then written beside it, and leaves no files.
        """
        return None

    @property
    def single_writer(self) -> bool:
        """Whether the place is one machine's files, which one process at a time writes to.

        More of them only wait for each other; so bulk work does not spread its writing there.
        """
        return False

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # An address may hold a password, which its type does not tell.
        for key, value in super().__repr_args__():
            yield key, redacted(value)


@dataclass(frozen=True)
class ResolvedSetting:
    """One setting as it is in force.

    Attributes:
        name: the setting's.
        value: as the backend sees it; secrets are masked.
        source: where it comes from.
        secret: whether it is declared as a secret.
    """

    name: str
    value: object
    source: Source
    secret: bool


class NothingConfiguredError(ConfigurationError):
    """A backend needs a setting and has none: it is not in use yet."""


@dataclass(frozen=True)
class Resolved:
    """The settings of a backend, by its registered name, and what they were made from."""

    backend: str
    settings: Settings
    given: Mapping[str, Given]

    def described(self) -> list[ResolvedSetting]:
        """Return every setting, in the order in which the backend declares them."""
        return [
            ResolvedSetting(
                name,
                redacted(getattr(self.settings, name)),
                self.given[name].source if name in self.given else Source("default"),
                is_secret(type(self.settings), name),
            )
            for name in type(self.settings).model_fields
        ]


def resolve(
    backend: str,
    settings_type: type[Settings],
    keywords: Mapping[str, Given],
    *,
    registered: list[str],
    file: BrainConfig,
) -> Resolved:
    """Read and check the settings of a backend.

    Args:
        backend: its registered name.
        settings_type: what it declares.
        keywords: the keyword arguments.
        registered: names of all installed backends.
        file: FiftyOne's configuration file.

    Raises:
        UnknownSettingError: something is configured that the backend does not know.
        ConfigurationError: a value is not what the backend accepts.
    """
    names = section_names(backend)
    known = every_section(registered) | set(file.sections) | declared_backends(os.environ)
    in_environment = environment_settings(os.environ, names, known)
    # FiftyOne's keys go first: its class, for one, rightly differs between the two names.
    foreign = FIFTYONE_KEYS - settings_type.model_fields.keys()
    given = {
        **agreed(backend, (item for item in file.settings(names) if item.key not in foreign)),
        **agreed(backend, (item for item in in_environment if item.key not in foreign)),
        **keywords,
    }
    refuse_unknown(backend, settings_type, given)
    return Resolved(backend, _validated(backend, settings_type, given), given)


def refuse_unknown(backend: str, settings: type[Settings], given: Mapping[str, Given]) -> None:
    """Refuse settings that the backend does not have, and name the nearest that it has.

    Raises:
        UnknownSettingError: there is such a one.
    """
    known = list(settings.model_fields)
    # Only the key is quoted: under a misspelled key, the value may be a secret.
    unknown = [
        f"{quoted(item.key)}{suggestion(item.key, known) or _foreign_hint(item.key)}, "
        f"given in {item.source}"
        for item in given.values()
        if item.key not in settings.model_fields
    ]
    if unknown:
        raise UnknownSettingError(
            f"backend {backend!r} has no setting {'; no '.join(unknown)}. "
            f"Known settings: {listed(known)}"
        )


def _foreign_hint(key: str) -> str:
    if key not in FIFTYONE_KEYS:
        return ""
    return " (it belongs to a FiftyOne brain run; an index is named in create_index())"


def _validated(backend: str, settings: type[Settings], given: Mapping[str, Given]) -> Settings:
    checked = checked_settings(settings, given)
    if isinstance(checked, Settings):
        return checked
    # Here, what was given is in no local variable that a tool which shows tracebacks would print.
    lines = [problem_of(backend, settings, given, *problem) for problem in checked]
    kind = ConfigurationError if given else NothingConfiguredError
    raise kind(f"backend {backend!r}: {'; '.join(lines)}")


def checked_settings(
    settings: type[Settings], given: Mapping[str, Given]
) -> Settings | list[tuple[tuple[int | str, ...], str]]:
    """Return the settings, or the place and the reason of each problem with them."""
    values = {key: item.value for key, item in given.items() if item.value is not None}
    if broken := [key for key, value in values.items() if _is_broken_text(settings, key, value)]:
        # A client that encodes it would raise an error that has all of it, a password too.
        return [((key,), "it holds bytes that are not UTF-8") for key in broken]
    hidden = [value for key, value in values.items() if is_secret(settings, key)]
    hidden += hidden_parts(values)
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    except Exception as error:  # noqa: BLE001 - whatever a third party's validator raises
        return [((), f"its settings cannot be checked: {error_message(error, hidden)}")]
    # A validator may quote its input.
    return [(item["loc"], without_secrets(item["msg"], hidden)) for item in problems]


def problem_of(
    backend: str,
    settings: type[Settings],
    given: Mapping[str, Given],
    place: tuple[int | str, ...],
    reason: str,
) -> str:
    """Return a problem that :func:`checked_settings` found in words."""
    accepted = reason.removeprefix("Value error, ")
    if not place:
        return accepted
    key = str(place[0])
    if key not in given or given[key].value is None:
        return (
            f"setting {key!r} is needed and has no default: give it as a keyword argument, "
            f"{variable_name(backend, key)}, or similarity_backends.{backend}.{key} in "
            f"brain_config.json"
        )
    found = _found(settings, key, given[key].value)
    return f"setting {key!r} from {given[key].source}: found {found}; {accepted}"


def _found(settings: type[Settings], key: str, value: object) -> str:
    """Return a refused value for a message; text that was not understood may hold a password."""
    if is_secret(settings, key):
        return MASK
    if isinstance(value, str) and (
        _is_free_text(settings, key) or ("://" not in value and len(value) > _LONGEST_WORD)
    ):
        return repr(value) if is_ordinary(value) else MASK
    return quoted(value)


def _is_broken_text(settings: type[Settings], key: str, value: object) -> bool:
    """Return whether text, other than a file's name, cannot be encoded."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or _mentions(settings.model_fields[key].annotation, (PurePath,)):
        return False
    return any("\ud800" <= each <= "\udfff" for each in text)


def is_secret(settings: type[BaseModel], key: str) -> bool:
    """Return whether a setting is declared as a secret."""
    return _mentions(settings.model_fields[key].annotation, (SecretStr, SecretBytes))


def _is_free_text(settings: type[BaseModel], key: str) -> bool:
    """Return whether a setting takes text of any form: what it refuses may be an address."""
    return _mentions(settings.model_fields[key].annotation, (str, bytes, PurePath))


def _mentions(annotation: Any, kinds: tuple[type[Any], ...]) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, kinds):
        return True
    # The words of a Literal are values, and no types.
    return annotation is Any or any(_mentions(part, kinds) for part in get_args(annotation))
