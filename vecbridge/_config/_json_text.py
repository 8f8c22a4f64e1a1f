"""Change what a JSON text says, and leave the rest of it as its author wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = "    "
_decoder = json.JSONDecoder()


@dataclass(frozen=True)
class _Member:
    """A key and its value, by their places in the text.

    Attributes:
        key: the key.
        before: where the space before the key begins: after the brace or the comma.
        start: where the key begins.
        value: where its value begins.
        end: where its value ends.
    """

    key: str
    before: int
    start: int
    value: int
    end: int


def edited(text: str, content: Mapping[str, Any]) -> str:
    """Return the text with another content; what is the same in both stays as it is written.

    Args:
        text: a JSON object, or nothing but space.
        content: what it is to say. A key that is new to an object comes last in it.

    Example:
        >>> edited('{"a": 1,  "b": [2,3]}', {"a": 5, "b": [2, 3]})
        '{"a": 5,  "b": [2,3]}'
    """
    if not text.strip():
        return f"{json.dumps(content, indent=_INDENT, ensure_ascii=False)}\n"
    return _object(text, _after_space(text, 0), content)


def _object(text: str, start: int, content: Mapping[str, Any]) -> str:
    """Change the object that begins at a place. From its end to its start, so that places stay."""
    members = list(_members(text, start))
    # Of a key that is there twice, readers take the last.
    last = {each.key: each for each in members}
    before = {key: _decoder.raw_decode(text, each.value)[0] for key, each in last.items()}
    gone = [at for at, each in enumerate(members) if each.key not in content]
    new = {key: value for key, value in content.items() if key not in last}
    if new:
        text = _with_new(text, start, members, new)
    for member in reversed(members):
        if last[member.key] is member and member.key in content:
            text = _changed(text, member, before[member.key], content[member.key])
    return _without(text, start, gone) if gone else text


def _changed(text: str, member: _Member, before: Any, value: Any) -> str:
    if json.dumps(before) == json.dumps(value):
        return text
    if isinstance(before, dict) and isinstance(value, Mapping):
        return _object(text, member.value, value)
    written = _written(value, text, text[member.before : member.start])
    return f"{text[: member.value]}{written}{text[member.end :]}"


def _with_new(text: str, start: int, members: list[_Member], new: Mapping[str, Any]) -> str:
    if members:
        lead = text[members[-1].before : members[-1].start]
        # In one line, the first key has no space before it.
        lead = lead or (" " if len(members) == 1 else "")
        at, before, after = members[-1].end, ",", ""
    else:
        at = start + 1
        in_lines = "\n" in text or start == 0
        outer = f"{_newline(text)}{_line_indent(text, start)}"
        lead = f"{outer}{_unit(text)}" if in_lines else ""
        before, after = "", outer if in_lines else ""
    parts = [
        f"{lead}{json.dumps(key, ensure_ascii=False)}: {_written(value, text, lead)}"
        for key, value in new.items()
    ]
    end = _after_space(text, at) if after else at
    return f"{text[:at]}{before}{','.join(parts)}{after}{text[end:]}"


def _without(text: str, start: int, gone: list[int]) -> str:
    """Take out members, by their numbers; their places are read again, since values changed."""
    for number in reversed(gone):
        members = list(_members(text, start))
        member = members[number]
        if len(members) == 1:
            first, last = start + 1, text.index("}", _after_space(text, member.end))
        elif number == len(members) - 1:
            first, last = members[number - 1].end, member.end
        else:
            first, last = member.start, members[number + 1].start
        text = text[:first] + text[last:]
    return text


def _members(text: str, start: int) -> Iterator[_Member]:
    before = start + 1
    at = _after_space(text, before)
    while text[at] != "}":
        key, end = _decoder.raw_decode(text, at)
        value = _after_space(text, _after_space(text, end) + 1)
        _, end = _decoder.raw_decode(text, value)
        yield _Member(key, before, at, value, end)
        at = _after_space(text, end)
        if text[at] == ",":
            before = at + 1
            at = _after_space(text, before)


def _written(value: Any, text: str, lead: str) -> str:
    """Return a value as it is written where the keys around it begin with this space."""
    if "\n" not in lead:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return f"{_newline(text)}{lead.rpartition(chr(10))[2]}".join(lines)


def _unit(text: str) -> str:
    """Return the indentation of the outermost keys, by which inner ones are moved further."""
    found = re.search(r"\{[ \t]*\r?\n([ \t]+)\"", text)
    return found[1] if found and found.start() == _after_space(text, 0) else _INDENT


def _line_indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
