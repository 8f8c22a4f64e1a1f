"""Sources of settings: keyword arguments, and FiftyOne's environment variables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vecbridge._errors import ConfigurationError

DEFAULT_BACKEND = "FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND"
_BACKENDS = "FIFTYONE_BRAIN_SIMILARITY_BACKENDS"
_PREFIX = "FIFTYONE_BRAIN_SIMILARITY_"
_WORDS = {
    "keyword": "a keyword argument",
    "environment": "environment variable ",
    "file": "file ",
    "default": "default",
}


@dataclass(frozen=True)
class Source:
    """The place that a value comes from.

    Attributes:
        kind: which of the four sources.
        place: the environment variable's name, or the file and the section in it; of a keyword
            argument that a command gives, the words for it there.
    """

    kind: Literal["keyword", "environment", "file", "default"]
    place: str = ""

    def __str__(self) -> str:
        if self.kind == "keyword" and self.place:
            return self.place
        return _WORDS[self.kind] + self.place


@dataclass(frozen=True)
class Given:
    """One configured value; ``None`` stands for the setting's default."""

    key: str
    value: Any = field(repr=False)
    source: Source


def as_keywords(options: dict[str, Any]) -> dict[str, Given]:
    """Return keyword arguments as given values, and empty ``options``.

    A tool that shows the local variables of a traceback then shows none of them.
    """
    given = {key: Given(key, value, Source("keyword")) for key, value in options.items()}
    options.clear()
    return given


def agreed(backend: str, given: Iterable[Given]) -> dict[str, Given]:
    """Return what one kind of source says, by key.

    Raises:
        ConfigurationError: it says two things of one key. Taking either would be a guess, and
            could send one server's credentials to another.
    """
    found: dict[str, Given] = {}
    for item in given:
        first = found.setdefault(item.key, item)
        if first.value != item.value:
            raise ConfigurationError(
                f"backend {backend!r}: setting {item.key!r} has one value in {first.source} and "
                f"another in {item.source}; remove one of them"
            )
    return found


def declared_backends(environ: Mapping[str, str]) -> set[str]:
    """Return names of the backends that the environment declares to FiftyOne."""
    return {name for name in environ.get(_BACKENDS, "").split(",") if name not in ("", "*")}


def environment_settings(
    environ: Mapping[str, str], sections: Collection[str], known: Collection[str]
) -> Iterator[Given]:
    """Yield what the environment says of a backend.

    A variable belongs to the known backend with the longest matching name: where ``milvus_lite``
    is a backend, ``FIFTYONE_BRAIN_SIMILARITY_MILVUS_LITE_TOKEN`` is its ``token``, and not a
    ``lite_token`` of ``milvus``. Values stay strings, for the declared type to cast: a password
    ``12345`` is not a number. As in FiftyOne, an empty value and ``None`` stand for the default.

    Args:
        environ: the environment.
        sections: names of the backend.
        known: names of all backends, installed or declared.
    """
    owners = sorted({*sections, *known}, key=len, reverse=True)
    for variable in sorted(environ):
        beginnings = ((name, _PREFIX + _word(name)) for name in owners)
        matching = (each for each in beginnings if variable.startswith(each[1]))
        owner, beginning = next(matching, ("", variable))
        key = variable.removeprefix(beginning).lower()
        if key and owner in sections:
            value = None if environ[variable] in ("", "None") else environ[variable]
            yield Given(key, value, Source("environment", variable))


def variable_name(backend: str, key: str) -> str:
    """Return the variable that sets one setting of a backend."""
    return _PREFIX + _word(backend) + key.upper()


def _word(backend: str) -> str:
    return backend.upper().replace("-", "_") + "_"
