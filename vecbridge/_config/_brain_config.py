"""FiftyOne's ``brain_config.json``, read with or without FiftyOne."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecbridge._config._given import Given, Source
from vecbridge._config._translations import meant_by, quoted_translations
from vecbridge._errors import ConfigurationError

BACKENDS = "similarity_backends"
DEFAULT = "default_similarity_backend"
_PATH = "FIFTYONE_BRAIN_CONFIG_PATH"
_LARGEST_MIB = 16
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class BrainConfig:
    """The file's content; empty where there is no file."""

    path: str
    content: Mapping[str, Any] = field(repr=False)

    @property
    def sections(self) -> Mapping[str, Any]:
        """The settings of each backend."""
        sections = self.content.get(BACKENDS) or {}
        if not isinstance(sections, dict):
            raise ConfigurationError(
                f"{self.path}: {BACKENDS} must be an object with one entry a backend; "
                f"found {_kind(sections)}"
            )
        return sections

    @property
    def default_backend(self) -> str | None:
        """The backend that is meant where none is named."""
        name = self.content.get(DEFAULT)
        if name is None or isinstance(name, str):
            return name or None
        raise ConfigurationError(
            f"{self.path}: {DEFAULT} must be the name of a backend; found {_kind(name)}"
        )

    def settings(self, names: Collection[str]) -> Iterator[Given]:
        """Yield what the file says of a backend with these names."""
        for name in names:
            place = f"{self.path} ({BACKENDS}.{name})"
            if name not in self.sections:
                continue
            section = self.sections[name]
            if not isinstance(section, dict):
                raise ConfigurationError(
                    f"{place} must be an object with one entry a setting; found {_kind(section)}"
                )
            yield from (Given(key, value, Source("file", place)) for key, value in section.items())


def read_brain_config(environ: Mapping[str, str]) -> BrainConfig:
    """Read the file where FiftyOne reads it; like FiftyOne, take none for an empty one.

    What is no file, such as a pipe or a device, is none. A section that is ``null`` is left out.

    Raises:
        ConfigurationError: the file is there, but cannot be read.
    """
    # Unlike pathlib's, these two never fail: not without a home, not before a locked folder.
    home = os.path.expanduser("~")  # noqa: PTH111
    path = environ.get(_PATH, f"{home}/.fiftyone/brain_config.json")
    try:
        # Not a pipe, for one, from which nothing may ever come.
        there = os.path.isfile(path)  # noqa: PTH113
    except ValueError:
        raise ConfigurationError(
            f"{_PATH} names no file that a system can have: a path has no NUL and no lone surrogate"
        ) from None
    if not there:
        _refuse_loop(path)
        return BrainConfig(path, {})
    content = _parsed(path, _text(path))
    if _has_lone_surrogate(content):
        problem = "holds a lone surrogate (\\ud800 to \\udfff), half of a character: correct it"
    elif not isinstance(content, dict):
        problem = f"must hold a JSON object; found {_kind(content)}"
    else:
        return BrainConfig(path, _without_null_sections(content))
    # It may hold secrets, and tools show the local variables of a traceback.
    del content
    raise ConfigurationError(f"{path} {problem}")


def _refuse_loop(path: str) -> None:
    """Refuse a link that leads to itself; one to a file that is yet to be made is fine."""
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        looping = error.errno == errno.ELOOP
    else:
        return
    if looping:
        raise ConfigurationError(f"cannot read {path}: the link leads to itself")


def _without_null_sections(content: dict[str, Any]) -> dict[str, Any]:
    sections = content.get(BACKENDS)
    if not isinstance(sections, dict):
        return content
    given = {name: section for name, section in sections.items() if section is not None}
    return {**content, BACKENDS: given}


def _has_lone_surrogate(content: object) -> bool:
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and not each.isascii() and _SURROGATE.search(each):
            return True
    return False


# Below, errors are raised after the ``except``, not in it: as their context, a decoding error would
# carry the whole text along, and with it every secret in the file.


def _text(path: str) -> str:
    limit = _LARGEST_MIB << 20
    try:
        with Path(path).open("rb") as file:
            read = file.read(limit + 1)
        if len(read) <= limit:
            # Editors on Windows begin UTF-8 with a byte order mark, which JSON does not know.
            return read.decode("utf-8-sig")
        reason = f"it is larger than {_LARGEST_MIB} MiB, which no configuration is"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    raise ConfigurationError(f"cannot read {path}: {reason}")


def _parsed(path: str, text: str) -> object:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where, reason = f"line {error.lineno}, column {error.colno}", f"{error.msg}{_advice(text)}"
    except RecursionError:
        where, reason = "somewhere", "it is nested too deeply"
    except ValueError:
        where, reason = "somewhere", "a number in it has too many digits"
    raise ConfigurationError(f"{path}, {where}: not JSON: {reason}")


def _advice(text: str) -> str:
    advice = ""
    starts = [line.lstrip()[:2] for line in text.splitlines()]
    comments = [n for n, start in enumerate(starts, 1) if start[:1] == "#" or start == "//"]
    if comments:
        advice += (
            f". JSON has no comments: remove the lines that start with # or // "
            f"(line {', '.join(map(str, comments))})"
        )
    if any(sign in text for sign in "：，“”"):
        advice += '. Use the ASCII signs : , and " for the typographic ones'
    translated = quoted_translations(text)
    if translated:
        advice += ". Translated keys are not read either: " + meant_by(translated)
    return advice


def _kind(value: object) -> str:
    """Return the type of a value in JSON's words; the value itself may be a secret."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")
