"""A configured setting: its key, its value, and where it was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vecbridge._errors import ConfigurationError

SourceKind = Literal["keyword", "environment", "file", "default"]


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes:
        kind: which of the four sources.
        place: the environment variable's name, or the file and the section in it.
    """

    kind: SourceKind
    place: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "keyword":
                return "a keyword argument"
            case "environment":
                return f"environment variable {self.place}"
            case "file":
                return f"file {self.place}"
            case "default":
                return "default"


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


def strongest(layers: Sequence[dict[str, Given]]) -> dict[str, Given]:
    """Return the strongest word on each key, of layers that are listed strongest first."""
    merged: dict[str, Given] = {}
    for layer in reversed(layers):
        merged.update(layer)
    return merged
