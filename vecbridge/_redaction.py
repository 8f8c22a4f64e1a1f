"""What may be shown of a value, and of a text that others wrote: never a secret.

An address that cannot be parsed is never shown. What was parsed is shown without what may be a
secret in it: the user and password, which may be a token, and the query. Other text is shown where
it cannot be an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from vecbridge._addresses import (
    MASK,
    decoded,
    explicit_path,
    parse_address,
    resembles_address,
)
from vecbridge._errors import ConfigurationError

_PLAIN = re.compile(r"[\w .,+()/\\~!-]*")
_MEMORY = ":memory:"
_SOCKET = "unix:"
_LONGEST = 80
_MOST_BITS = 1000
_LEAST = 4
"""Characters of what is looked for in a text; shorter, it would tear ordinary words apart."""

_WORDS = re.compile(r"(?<![^\s'\"<>(\[{,])[^\s'\"<>(\[{,][^\s'\"<>]*")
_CLOSING = ".,:;!?)]}"
_SETTING = re.compile(r"^(?:uri|connection_string)=")
_SEPARATORS = re.compile(r"\W+")
_DELIMITERS = re.compile(r"[\s=:@/?&;,'\"]+")
"""Between the parts of an address or a connection string, and seldom within a password."""

_ORDINARY = re.compile(
    "https?|grpc|unix|hosts?|localhost|port|path|file|folder|user|username|password|token|server|"
    "address|setting|database|name|uri|milvus|vecbridge|must|text|input|value|with|"
)
"""Parts of addresses that are words of messages too, and no secret."""


def redacted(value: object) -> Any:
    """Return the value as it may be shown in a message, a listing, a log or a ``repr``.

    Numbers, words and paths come back as they are, an address without its credentials, and
    ``"**********"`` stands for all that may hold a secret. What a container holds is treated
    in the same way.

    Example:
        >>> redacted("http://me:hunter2@host:19530/db")
        'http://**********@host:19530/db'
        >>> redacted("me:hunter2@host")
        '**********'
        >>> redacted({"timeout": 10.0, "path": "/data/vectors"})
        {'timeout': 10.0, 'path': '/data/vectors'}
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return _redacted_text(str(value))
    if isinstance(value, Mapping):
        return {redacted(key): redacted(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted(each) for each in value]
    if isinstance(value, (bytes, bytearray)) or hasattr(value, "get_secret_value"):
        return MASK
    return _redacted_text(str(value))


def quoted(value: object) -> str:
    """Return the ``repr`` of a name or a number for a message, cut where it is long.

    Neither is a path: text that only a path may be is masked. Of anything else, such as what stands
    where a name or a number was expected, only the type is shown.
    """
    if isinstance(value, (str, PurePath)):
        text = repr(_redacted_text(str(value), paths=False))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of very many digits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (Mapping, list, tuple)) and not value:
        return repr(value)
    return f"a value of type {type(value).__name__}"


def redacted_message(text: str, secrets: Iterable[object] = ()) -> str:
    """Return a text that others wrote, such as a client's error, without what it must not show.

    Args:
        text: the text. Of each word in it that may be an address, only what was parsed is left.
        secrets: what the text may quote, whole or in part: passwords, tokens, addresses.

    Example:
        >>> redacted_message("cannot reach postgres://me:hunter2@db/x")
        'cannot reach postgres://**********@db/x'
        >>> redacted_message("wrong password hunter2", ["hunter2"])
        'wrong password **********'
    """
    return _WORDS.sub(_shown_word, without_secrets(text, secrets))


def error_message(error: BaseException, secrets: Iterable[object] = ()) -> str:
    """Return the type and the text of an error of others, without secrets, for any terminal.

    Args:
        error: its text may be one that cannot be encoded, or that cannot be had at all.
        secrets: as :func:`redacted_message` takes them.
    """
    try:
        # A lone surrogate cannot be printed. Not said.encode(): it may be a subclass of str.
        said = str.encode(str(error), "utf-8", "backslashreplace").decode()
    except Exception as second:  # noqa: BLE001 - whatever __str__ raises
        said = f"its message cannot be shown: {type(second).__name__}"
    return redacted_message(f"{type(error).__name__}: {said}", secrets)


def without_secrets(text: str, secrets: Iterable[object], *, pieces: bool = True) -> str:
    """Return the text with the secrets in it masked, and otherwise as it is.

    Args:
        text: the text.
        secrets: what it may quote.
        pieces: mask the words in a password as well, which a parser of others may quote. In a text
            of our own they are words of it: ``not-a-secret`` would mask each "secret".
    """
    forms = {form for each in secrets for form in _forms(each, pieces=pieces)}
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(re.escape(form), lambda _: MASK, text, flags=re.IGNORECASE)
    return text


def hidden_parts(value: object) -> list[str]:
    """Return each text in a value that is not shown as it is; a validator may quote it."""
    if isinstance(value, Mapping):
        return [part for pair in value.items() for each in pair for part in hidden_parts(each)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [part for each in value for part in hidden_parts(each)]
    text = _plain_text(value)
    return [] if text is None or _redacted_text(text) == text else [text]


def is_ordinary(form: str) -> bool:
    """Tell whether a text is empty, or a word that is common in addresses and messages."""
    return _ORDINARY.fullmatch(_SEPARATORS.sub("", form).casefold()) is not None


def _redacted_text(text: str, *, paths: bool = True) -> str:
    if _PLAIN.fullmatch(text) or text == _MEMORY:
        return text
    if "://" in text and not text.startswith(_SOCKET):
        try:
            return str(parse_address(text))
        except ConfigurationError:
            return MASK
    path = text.removeprefix(_SOCKET)
    return text if paths and explicit_path(path) and not resembles_address(path) else MASK


def _shown_word(found: re.Match[str]) -> str:
    bare = found[0].rstrip(_CLOSING)
    if not resembles_address(bare):
        return found[0]
    return f"{_redacted_text(bare)}{found[0][len(bare) :]}"


def _forms(secret: object, *, pieces: bool) -> set[str]:
    """Return a secret as a message may quote it: as it is, escaped, decoded, in parts."""
    text = _plain_text(secret)
    if text is None:
        return set()
    wholes = {text, text.strip(), decoded(text)}
    forms = wholes | {repr(each)[1:-1] for each in wholes}
    if _redacted_text(text) != text:
        parts = _secret_parts(text)
        between = _SEPARATORS if pieces else _DELIMITERS
        forms |= parts | {part for each in parts for part in between.split(each)}
    return {form for form in forms if len(form) >= _LEAST and not is_ordinary(form)}


def _secret_parts(text: str) -> set[str]:
    """Return what may be secret in a text: of an address, what is left out where it is shown."""
    parts: list[str | None] = [text.strip()]
    with suppress(ConfigurationError):
        address = parse_address(_SETTING.sub("", text.strip(), count=1))
        path = None if str(address).partition("?")[0].endswith(address.path) else address.path
        # Some services take a token for a user. This one is in the name of its server, too.
        user = None if address.user == "postgres" else address.user
        parts = [user, address.password, path, address.query]
    return {form for each in parts if each for form in (each, decoded(each))}


def _plain_text(value: object) -> str | None:
    revealed = getattr(value, "get_secret_value", None)
    found = revealed() if callable(revealed) else value
    if isinstance(found, (bytes, bytearray)):
        return bytes(found).decode("utf-8", "replace")
    if isinstance(found, PurePath):
        return str(found)
    return found if isinstance(found, str) else None
