"""Filters as text, such as ``label == "cat" and score > 0.5``: how they are read and written.

Read by hand, and not by a library from a grammar: what matters are messages that know what may have
been meant, and a stack of our own, so that no nesting ends in a ``RecursionError``. A dependency
would save about a hundred lines, and give neither. The page ``reference/filter-language.md`` of the
documentation has the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import NoReturn, cast

from vecbridge._contract._field import field
from vecbridge._contract._field_types import Operand, Scalar
from vecbridge._contract._filters import (
    And,
    Comparison,
    Contains,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Operator,
    Or,
    StartsWith,
)
from vecbridge._errors import FilterSyntaxError, InvalidArgumentError
from vecbridge.filters._tokens import ARITHMETIC, Token, failure, printable, tokens

_MOST_OPEN = 9_999
"""Parentheses that may be open at one place: as many as the 10 000 conditions that an index takes
can need."""

_STRENGTHS = {"(": 0, "or": 1, "and": 2, "not": 3}
_LITERALS = ("string", "number", "boolean")
_MIRRORED: dict[str, Operator] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}

_CONDITION = 'a condition, such as label == "cat"'
_FIELD = "the name of a field"
_COMPARISON = "a comparison (==, !=, <, <=, >, >=)"
_OPERATION = "a comparison (==, !=, <, in, contains, starts with, between, is missing, ...)"
_NEGATED = "in, as in label not in [1, 2]"
_VALUE = 'a value, such as "cat", 0.5 or true'
_LIST = "a list, such as [1, 2]"
_MORE = "a comma or ]"
_OTHER_YEAR = re.compile(r"(-\d+|\+?\d{5,}|0000)-")
_TIME = 'a time, such as "2026-01-01T00:00:00Z"'
_JOINT = "and, or, or the end of the filter"
_CLOSING = "and, or, or )"

_MISSING = "a missing value is found by: label is missing"
_PARTS = 'parts of a string are found by: label contains "x", label starts with "x"'
_STOPS = ("and", "or", ")", "end")
_SLIPS: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
    ((_COMPARISON, _OPERATION, _VALUE), ("=", "==="), "equality is written =="),
    ((_OPERATION,), ("<>",), "inequality is written !="),
    ((_OPERATION,), ("=>",), "at least is written >="),
    ((_OPERATION,), ("=<",), "at most is written <="),
    ((_OPERATION,), ("like", "startswith", "has"), _PARTS),
    ((_OPERATION,), _STOPS, "a boolean field is compared, too: ok == true"),
    ((_COMPARISON,), _STOPS, "each condition names its field; for several values, use in [...]"),
    ((_FIELD,), ("string",), "write an unusual name in backticks"),
    ((_VALUE,), ("null", "none", "missing"), _MISSING),
    ((_VALUE,), ("nan", "inf", "infinity"), "the numbers of a filter are finite"),
    ((_VALUE,), ("name",), "a string is written in quotes; two fields are not compared"),
    ((_VALUE,), ("[",), "for several values, use in [...]"),
    ((_LIST,), ("(",), "a list is written in brackets"),
    ((_JOINT, _CLOSING), ("string",), r"""a quote in a string is written \" or \'"""),
    ((_JOINT, _CLOSING), tuple(_MIRRORED), "a chain is written 0 < score <= 1"),
    ((_OPERATION, _JOINT, _CLOSING), ("number",), ARITHMETIC),
]
_HINTS = {
    (place, word): hint for places, words, hint in _SLIPS for place in places for word in words
}
"""What was probably meant, by what was expected and by the word or the kind of what was found."""


def parse(text: str) -> Filter:
    """Return the filter that a text means, as :class:`vecbridge.field` would build it.

    Args:
        text: a filter in the language of the reference.

    Raises:
        FilterSyntaxError: it is not a filter; the message points at the error and says what is
            expected.
        InvalidArgumentError: it is not a string.

    Example:
        >>> from vecbridge import field
        >>> where = parse('label in ["cat", "dog"] and 0 < score <= 0.5')
        >>> where == field("label").is_in(["cat", "dog"]) & (
        ...     (field("score") > 0) & (field("score") <= 0.5)
        ... )
        True
        >>> parse('label = "cat"')
        Traceback (most recent call last):
        ...
        vecbridge._errors.FilterSyntaxError: expected a comparison (==, !=, <, ...); found =
            label = "cat"
                  ^
            equality is written ==
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"a filter is parsed from a string; got {type(text).__name__}")
    return _Parser(text).filter()


def format(where: Filter) -> str:  # noqa: A001 (the opposite of parse, and read as filters.format)
    """Return the text of a filter, which :func:`parse` reads as a filter that is equal.

    The filter's ``str`` is the same text, but also shows values that the language cannot express.

    Raises:
        InvalidArgumentError: the language cannot express it: an infinity, NaN, a string that has
            no UTF-8, a value of another type, more nesting than any index takes.

    Example:
        >>> from vecbridge import field
        >>> print(format((field("label") == "it's") | ~field("my size").is_in([1, 2])))
        label == "it's" or `my size` not in [1, 2]
    """
    text = str(where)
    if text.endswith("..."):
        raise InvalidArgumentError(
            f"no text expresses this filter, which is too large: it begins {text[:80]!r}"
        )
    try:
        same = parse(text) == where
    except FilterSyntaxError as error:
        raise InvalidArgumentError(f"no text expresses this filter: {error}") from error
    if not same:
        raise InvalidArgumentError(f"no text expresses this filter; {text[:80]} is another one")
    return text


class _Parser:
    """Reads one text from left to right, and looks at one token at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = next(self._tokens)

    def filter(self) -> Filter:
        """Read all of the text; operators wait until what follows binds no more than they do."""
        filters: list[Filter] = []
        waiting: list[Token] = []
        unclosed = 0
        while True:
            while self._next.kind in ("not", "("):
                unclosed += self._next.kind == "("
                if unclosed > _MOST_OPEN:
                    self._fail(f"at most {_MOST_OPEN} parentheses are open at one place")
                waiting.append(self._take())
            filters.append(self._condition())
            while self._next.kind == ")" and unclosed:
                _join(filters, waiting, 1)
                waiting.pop()
                unclosed -= 1
                self._take()
            if self._next.kind not in ("and", "or"):
                break
            _join(filters, waiting, _STRENGTHS[self._next.kind])
            waiting.append(self._take())
        if self._next.kind == ")":
            self._fail("this ) closes no parenthesis")
        if self._next.kind != "end":
            self._refuse(_CLOSING if unclosed else _JOINT)
        _join(filters, waiting, 1)
        if waiting:
            self._fail("this parenthesis is never closed", waiting.pop())
        return filters.pop()

    def follows(self, word: str) -> bool:
        """Take a word if it comes next, and return whether it does."""
        found = _word(self._next) == word
        if found:
            self._take()
        return found

    def expect(self, word: str, expected: str) -> None:
        """Take a word that has to come next."""
        if not self.follows(word):
            self._refuse(expected)

    def values(self) -> tuple[Operand, ...]:
        """Read a list of values; a comma may follow the last."""
        if self._next.kind != "[":
            self._refuse(_LIST)
        self._take()
        values: list[Operand] = []
        while self._next.kind != "]":
            values.append(self.value())
            if self._next.kind == ",":
                self._take()
            elif self._next.kind != "]":
                self._refuse(_MORE)
        self._take()
        return tuple(values)

    def value(self) -> Operand:
        """Read one value."""
        if self._next.kind == "call":
            name = self._next.value
            if name == "timestamp":
                return self._timestamp()
            hint = "a field is its name alone" if name == "field" else "write the value itself"
            self._fail(f"there is no {name}(...) in a filter", hint=hint)
        if self._next.kind not in _LITERALS:
            self._refuse(_VALUE)
        return cast(Operand, self._take().value)

    def _timestamp(self) -> datetime:
        """Read ``timestamp("2026-01-01T00:00:00Z")``."""
        self._take()
        self.expect("(", "a parenthesis")
        written = self._next
        if written.kind != "string":
            self._refuse(_TIME)
        self._take()
        if re.search(r"[.,]\d{7}", str(written.value)):
            self._fail("a time has microseconds, and no more digits", written)
        try:
            time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", str(written.value)))
            utc = time.astimezone(timezone.utc)
        except (ValueError, OverflowError) as error:
            if isinstance(error, OverflowError) or _OTHER_YEAR.match(str(written.value)):
                self._fail("a time must be in the years 1 to 9999 in UTC", written)
            self._fail(f"expected {_TIME}", written)
        if time.utcoffset() is None:
            self._fail("a time needs a time zone", written, hint="Z at the end means UTC")
        self.expect(")", "a parenthesis that closes")
        return utc

    def _condition(self) -> Filter:
        if self._next.kind in (*_LITERALS, "call"):
            return self._range()
        name = self._name(_CONDITION)
        negated = self._next.kind == "not"
        if negated:
            self._take()
        elif self._next.kind in _MIRRORED:
            return self._comparison(name)
        operation = _OPERATIONS.get(_word(self._next))
        if operation is None:
            self._refuse(_NEGATED if negated else _OPERATION)
        self._take()
        found = operation(self, name)
        return Not(found) if negated else found

    def _range(self) -> Filter:
        """Read ``0 < score``, or a chain such as ``0 < score <= 1``."""
        value = self.value()
        if self._next.kind not in _MIRRORED:
            self._refuse(_COMPARISON)
        operator = _MIRRORED[self._take().kind]
        first = Comparison(self._name(_FIELD), operator, cast(Scalar, value))
        return And(first, self._comparison(first.name)) if self._next.kind in _MIRRORED else first

    def _comparison(self, name: str) -> Comparison:
        operator = cast(Operator, self._take().kind)
        return Comparison(name, operator, cast(Scalar, self.value()))

    def _name(self, expected: str) -> str:
        if self._next.kind != "name":
            self._refuse(expected)
        return str(self._take().value)

    def _take(self) -> Token:
        taken, self._next = self._next, next(self._tokens)
        return taken

    def _refuse(self, expected: str) -> NoReturn:
        token = self._next
        found = printable(self._text[token.start : token.end][:40]) or "the end"
        hint = _HINTS.get((expected, _word(token))) or _HINTS.get((expected, token.kind), "")
        self._fail(f"expected {expected}; found {found}", hint=hint)

    def _fail(self, message: str, token: Token | None = None, hint: str = "") -> NoReturn:
        at = token or self._next
        raise failure(self._text, at.start, at.end, message, hint)


def _contains(parser: _Parser, name: str) -> Filter:
    if parser.follows("any"):
        return field(name).contains_any(parser.values())  # type: ignore[arg-type]
    if parser.follows("all"):
        return field(name).contains_all(parser.values())  # type: ignore[arg-type]
    return Contains(name, cast(str, parser.value()))


def _between(parser: _Parser, name: str) -> Filter:
    least = parser.value()
    parser.expect("and", "and, as in score between 1 and 2")
    return field(name).between(least, parser.value())


def _is(parser: _Parser, name: str) -> Filter:
    negated = parser.follows("not")
    parser.expect("missing", "missing, as in label is missing")
    return Not(IsMissing(name)) if negated else IsMissing(name)


def _starts(parser: _Parser, name: str) -> Filter:
    parser.expect("with", 'with, as in label starts with "x"')
    return StartsWith(name, cast(str, parser.value()))


_OPERATIONS: dict[str, Callable[[_Parser, str], Filter]] = {
    "in": lambda parser, name: OneOf(name, cast(tuple[Scalar, ...], parser.values())),
    "between": _between,
    "contains": _contains,
    "is": _is,
    "starts": _starts,
}
"""What may follow a field besides a comparison, and ``not`` before it, by its first word."""


def _word(token: Token) -> str:
    return str(token.value).lower() if token.kind == "name" else token.kind


def _join(filters: list[Filter], waiting: list[Token], strength: int) -> None:
    """Apply the operators that wait and bind at least as much."""
    while waiting and _STRENGTHS[waiting[-1].kind] >= strength:
        kind = waiting.pop().kind
        last = filters.pop()
        if kind == "not":
            filters.append(Not(last))
        else:
            filters.append((And if kind == "and" else Or)(filters.pop(), last))
