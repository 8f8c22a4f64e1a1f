"""What of a filter on the command line may be shown: everything but addresses in its strings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecbridge._addresses import MASK, resembles_address
from vecbridge._errors import FilterSyntaxError
from vecbridge._redaction import hidden_parts

if TYPE_CHECKING:
    from vecbridge.filters import Filter

_QUOTE = re.compile("[\"'`]")
_STRING = re.compile(
    r"""(?<![\\\w"'`])(?P<quote>["'`])(?P<string>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)(?![\w"'`])""",
    re.DOTALL,
)
_AND = re.compile(r"\s&&?\s")


def filter_of(text: str | None) -> Filter | None:
    """Return the filter of ``--where``.

    Not by Typer while it parses: of an error there, it loses the message.

    Raises:
        FilterSyntaxError: the text is none; the message shows no address that stands in it.
    """
    if text is None:
        return None
    from vecbridge.filters import parse

    try:
        return parse(text)
    except FilterSyntaxError as error:
        # The message holds a cut of the text: in that, a part of a secret would not be found.
        masked = _masked(text)
        if masked == text:
            raise
        position = error.position
    if masked is not None:
        parse(masked)
    raise FilterSyntaxError(
        "this is not a filter, and is not shown, since it may hold a password. Strings are "
        'written in quotes, as in label == "cat"',
        text=text,
        position=position,
    )


def strings_of(where: str) -> Sequence[str] | None:
    """Return the strings of a filter; ``None`` where the rest of it may be an address, too."""
    rest = _STRING.sub(" ", where)
    # Between spaces it is the word "and"; in an address, it would divide parameters.
    if resembles_address(_AND.sub(" ", rest)) or _QUOTE.search(rest):
        return None
    return [found["string"] for found in _STRING.finditer(where)]


def _masked(where: str) -> str | None:
    if strings_of(where) is None:
        return None if hidden_parts(where) and resembles_address(where) else where
    return _STRING.sub(_shown, where)


def _shown(found: re.Match[str]) -> str:
    hidden = resembles_address(found["string"])
    return f"{found['quote']}{MASK}{found['quote']}" if hidden else found[0]
