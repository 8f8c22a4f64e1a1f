"""Where a store comes from, as it travels to another process: its settings, less every secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BeforeValidator

from vecbridge._addresses import local_path
from vecbridge._config._registry import built, configured
from vecbridge._config._settings import Resolved, Settings
from vecbridge._config._sources import as_keywords, variable_name
from vecbridge._errors import ConfigurationError
from vecbridge._redaction import hidden_parts, redacted

if TYPE_CHECKING:
    from vecbridge._contract._protocols import Backend


class Origin:
    """Makes the backend of a store again, in another process, from what its settings were.

    The other process has to know the secrets itself: they are in no pickle. The settings that it
    arrives at must be the same, as far as they may be shown, or the store could be another one.

    Args:
        resolved: the settings, and what they were made from.
    """

    def __init__(self, resolved: Resolved) -> None:
        self._backend = resolved.backend
        # Of this process alone: it may hold secrets.
        self._resolved: Resolved | None = resolved
        values = absolute_values(resolved.settings)
        self._shown = {name: redacted(value) for name, value in values.items()}
        self._carried = {name: value for name, value in values.items() if _is_open(value)}
        self._asked = [
            name
            for name in self._carried
            if name in resolved.given and resolved.given[name].source.kind == "keyword"
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_resolved": None}

    @property
    def empty_place(self) -> Path | None:
        """The file or folder of a store on this machine that has no files yet."""
        settings = self._resolved and self._resolved.settings
        name = settings and settings.place_of_files
        if not name:
            return None
        place = Path(str(getattr(settings, name))).expanduser().absolute()
        taken = any(place.iterdir()) if place.is_dir() else place.exists()
        return None if taken else place

    @contextmanager
    def elsewhere(self, place: Path) -> Iterator[Backend]:
        """Yield a backend with these settings whose files are in a folder that is then removed.

        Args:
            place: the folder is made beside this one, on the same disk.
        """
        assert self._resolved is not None  # noqa: S101 - for the type checker
        name = self._resolved.settings.place_of_files
        above = next(each for each in place.parents if each.exists())
        with TemporaryDirectory(prefix=".vecbridge-sample-", dir=above) as made:
            given = {
                **self._resolved.given,
                **as_keywords({str(name): str(Path(made, place.name))}),
            }
            kind, resolved = configured(self._backend, given)
            yield built(kind, resolved.settings)

    def __call__(self) -> Backend:
        """Make the backend again.

        Raises:
            ConfigurationError: this process does not arrive at the same settings.
        """
        try:
            # First what the other process was given as keywords: the rest it knew from its
            # environment or a file, which are likely to be here, with the secrets in them.
            return self._made(self._asked)
        except ConfigurationError:
            return self._made(self._carried)

    def _made(self, names: Iterable[str]) -> Backend:
        secrets = self._shown.keys() - self._carried.keys()
        try:
            given = as_keywords({name: self._carried[name] for name in names})
            kind, resolved = configured(self._backend, given)
            here = {
                name: redacted(value) for name, value in absolute_values(resolved.settings).items()
            }
            different = [
                f"setting {name!r} was {was!r} and is {here.get(name)!r} here"
                for name, was in self._shown.items()
                if here.get(name) != was
            ]
            if different:
                raise ConfigurationError(f"backend {self._backend!r}: {'; '.join(different)}")
        except ConfigurationError as error:
            if not secrets:
                raise
            wanted = " and ".join(variable_name(self._backend, name) for name in sorted(secrets))
            raise ConfigurationError(
                f"{error}. The store came from another process, and secrets do not travel with "
                f"it: set {wanted}, or the same in similarity_backends.{self._backend} of "
                f"brain_config.json, where this process finds them"
            ) from None
        return built(kind, resolved.settings)


def absolute_values(settings: Settings) -> dict[str, Any]:
    """Return the settings by name, paths made absolute: elsewhere, a relative one is another."""
    return {
        name: _absolute(getattr(settings, name), field.annotation, *field.metadata)
        for name, field in type(settings).model_fields.items()
    }


def _absolute(value: Any, *declared: Any) -> Any:
    is_text_of_path = isinstance(value, str) and value != ":memory:" and _is_path(declared)
    if isinstance(value, PurePath) or is_text_of_path:
        return str(Path(value).expanduser().absolute())
    return value


def _is_path(declared: Iterable[Any]) -> bool:
    return any(
        (isinstance(each, BeforeValidator) and each.func is local_path) or _is_path(get_args(each))
        for each in declared
    )


def _is_open(value: Any) -> bool:
    """Tell whether a value may be shown in a pickle."""
    if isinstance(value, Mapping):
        return all(map(_is_open, value.values())) and not hidden_parts(value)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_open, value)) and not hidden_parts(value)
    hidden = hasattr(value, "get_secret_value") or isinstance(value, bytes | bytearray)
    return not hidden and not hidden_parts(value)
