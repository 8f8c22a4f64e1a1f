"""The words of a filter's text: names, literals and signs; and how a message points at them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from vecbridge._contract._filters import BARE_NAME, RESERVED
from vecbridge._errors import FilterSyntaxError

_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<quoted>(?P<quote>["'`])(?P<content>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote))
        | (?P<number>[+-]?\.?[0-9](?:[eE][+-]|[\w.])*)
        | (?P<call>{BARE_NAME.pattern})(?=\s*\()
        | (?P<name>{BARE_NAME.pattern})
        | (?P<sign>===|==|=>|=<|=|!=|!|<=|<>|<|>=|>|&&|&|\|\||\||~|[()\[\],])
        | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SYNONYMS = {"&": "and", "&&": "and", "|": "or", "||": "or", "~": "not", "!": "not"}
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    **{mark: mark for mark in "\\/\"'`"},
}

ARITHMETIC = "there is no arithmetic in a filter"
_STRANGERS = {
    **dict.fromkeys("+-*/%^", ARITHMETIC),
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb", "quotes are \" or '"),
    ".": "a name with a dot is written in backticks: `a.b`",
    ":": "equality is written ==",
    "{": "a list is written in brackets: [1, 2]",
}
_CONTEXT = 50
"""Characters that a message shows on each side of the place."""


class Token(NamedTuple):
    """A word of the text: its kind, what it holds, and where it stands.

    The kind is ``string``, ``number``, ``boolean``, ``name``, ``call`` (a name before a
    parenthesis), ``end``, or the sign or reserved word itself.
    """

    kind: str
    value: str | float | bool | None
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a text, each when it is asked for, and then the end.

    Raises:
        FilterSyntaxError: what comes next is none.
    """
    end = 0
    while True:
        found = _TOKEN.match(text, end)
        if found is None:
            raise _no_token(text, end)
        group = str(found.lastgroup)
        start, end = found.span(group)
        kind, value = _read(text, group, found)
        yield Token(kind, value, start, end)


def failure(text: str, start: int, end: int, message: str, hint: str = "") -> FilterSyntaxError:
    """Return an error whose message shows a place in the text, and what may have been meant."""
    opening = text.rfind("\n", 0, start) + 1
    closing = (text + "\n").index("\n", start)
    left, right = max(opening, start - _CONTEXT), min(closing, start + _CONTEXT)
    before = ("..." if left > opening else "") + printable(text[left:start])
    after = printable(text[start:right]) + ("..." if right < closing else "")
    carets = "^" * max(1, _columns(printable(text[start : min(end, right)])))
    place = [before + after, " " * _columns(before) + carets] if text.strip() else []
    told = "\n    ".join([message, *place, *filter(None, [hint])])
    return FilterSyntaxError(told, text=text, position=start)


def printable(text: str) -> str:
    """Return a text with a space or a question mark for each character that is not printed."""
    return "".join(each if each.isprintable() else " " if each.isspace() else "?" for each in text)


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) > 0 for each in text)


def _read(text: str, group: str, found: re.Match[str]) -> tuple[str, str | float | bool | None]:
    """Return the kind of a token, and its value."""
    written = found[group]
    if group == "quoted":
        return "name" if found["quote"] == "`" else "string", _unescaped(text, found)
    if group == "number":
        return "number", _number(text, found)
    word = written.lower()
    if word in ("true", "false"):
        return "boolean", word == "true"
    if group == "sign" or word in RESERVED:
        return _SYNONYMS.get(word, word), None
    return group, written


def _number(text: str, found: re.Match[str]) -> int | float:
    written, span = found["number"], found.span("number")
    if _LEADING_ZERO.match(written) or not _FLOAT.fullmatch(written):
        hint = "numbers are written 12, -0.5 or 1e-3"
        raise failure(text, *span, f"{printable(written[:40])} is no number", hint)
    if not _INTEGER.fullmatch(written):
        value = float(written)
        if math.isinf(value):
            raise failure(text, *span, f"{written[:40]} is beyond every float", "")
        return value
    try:
        return int(written)
    except ValueError:
        # Python reads no integer of more than 4300 digits.
        raise failure(text, *span, f"{len(written)} digits are too many for an integer") from None


def _unescaped(text: str, found: re.Match[str]) -> str:
    def character(escape: re.Match[str]) -> str:
        code = escape[1]
        with suppress(LookupError, ValueError, OverflowError):
            return _ESCAPED[code] if len(code) == 1 else chr(int(code[1:], 16))
        start = found.start("content") + escape.start()
        message = f"{printable(escape[0])} is no escape"
        raise failure(text, start, start + len(code) + 1, message, r"write \\ for a backslash")

    content = _ESCAPE.sub(character, found["content"])
    try:
        # As in JSON, two escapes of UTF-16 may be one character.
        return content.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        message = "a lone surrogate has no UTF-8, and no stored string holds one"
        raise failure(text, *found.span("quoted"), message) from None


def _no_token(text: str, end: int) -> FilterSyntaxError:
    """Return the error about a character with which no token begins."""
    start = len(text) - len(text[end:].lstrip())
    character = text[start]
    if character in "\"'`":
        return failure(text, start, start + 1, f"this {character} is never closed")
    message = f"{printable(character)} has no meaning here"
    return failure(text, start, start + 1, message, _STRANGERS.get(character, ""))
