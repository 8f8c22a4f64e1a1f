"""Addresses and paths as settings hold them: parsed strictly, refused without being quoted."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from vecbridge._errors import ConfigurationError

MASK = "**********"
# Narrower than RFC 3986: where a character could also end the host, the address has two readings,
# and what one of them takes for a host may be a password. Those must be percent-encoded.
_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>(?:[\w.~!$'()*+-]|%[0-9A-Fa-f]{2})*)"
    r"(?::(?P<password>(?:[\w.~!$'()*+-]|%[0-9A-Fa-f]{2})*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#@:]*)?(?:\?(?P<query>[^\s#@]*))?"
)
_SHOWN_PATH = re.compile(r"[\w.~+/-]*")
_LARGEST_PORT = 65535
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DECODINGS = 8
_SEPARATOR = re.compile(r"[:=]")
_SIGN = re.compile(r"[:@]")
_AUTHORITY = re.compile(r"(?<!/)//(?!/)")
_QUERY_SIGN = re.compile(r"[?&#;%]")
_NAMED_SECRET = re.compile(
    r"(?:token|passw(?:or)?d|pwd|secret|(?:api|access|account)[\W_]?key)\s*[=:?&#;%@]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Address:
    """An address that was parsed, what may be a secret in it kept apart.

    ``str()`` and ``repr()`` show scheme, host, port and path, and no secret.

    Attributes:
        scheme: in lower case.
        host: as it is written; of IPv6, in brackets.
        port: ``None`` where none is written.
        path: what follows the host, percent-encoded as it is written; empty where nothing does.
        user: decoded; ``None`` where there is none. Some services take a token here.
        password: decoded; ``None`` where there is none.
        query: what follows ``?``, as it is written; ``None`` where there is none.
    """

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    query: str | None = field(default=None, repr=False)

    @property
    def bare(self) -> str:
        """Scheme, host and port: the address without path and credentials."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    def __str__(self) -> str:
        asking = "" if self.user is None else f"{MASK}@"
        path = self.path if _SHOWN_PATH.fullmatch(self.path) else f"/{MASK}"
        query = "" if self.query is None else f"?{MASK}"
        return f"{self.bare.replace('://', f'://{asking}', 1)}{path}{query}"


def parse_address(text: str) -> Address:
    """Take an address apart.

    Args:
        text: ``scheme://user:password@host:port/path?query``; scheme and host are needed. The user
            and password are percent-encoded.

    Raises:
        ConfigurationError: it is no such address, or one that can be read in more than one way. The
            message does not quote it.

    Example:
        >>> parse_address("https://me:hunter2@host:443/db")
        Address(scheme='https', host='host', port=443, path='/db')
        >>> str(parse_address("https://me:hunter2@host:443/db"))
        'https://**********@host:443/db'
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"] or 0) > _LARGEST_PORT:
        raise ConfigurationError(
            "an address is scheme://host:port, with user:password@ before the host where they are "
            "needed; percent-encode a user and a password. What was given is not shown, since it "
            "may hold a password"
        )
    user, password = found["user"], found["password"]
    return Address(
        scheme=found["scheme"].lower(),
        host=found["host"],
        port=None if found["port"] is None else int(found["port"]),
        path=found["path"] or "",
        user=None if user is None else unquote(user),
        password=None if password is None else unquote(password),
        query=found["query"],
    )


def local_path(value: Any) -> Any:
    """Check the path of a file or folder of this machine, before anything is done with it.

    ``None`` and ``":memory:"`` are left as they are. A relative path may not begin with a part
    that holds a colon, which would be the scheme of an address: ``./part:1`` is a path.

    Raises:
        ConfigurationError: it is empty, is none that a system can have, or may hold an address
            or credentials, which the message does not quote.
    """
    if value is None or value == ":memory:":
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(f"a path is text; got {type(value).__name__}")
    text = os.fspath(value)
    if not isinstance(text, str):
        raise ConfigurationError(f"a path is text; got {type(text).__name__}")
    if not text:
        raise ConfigurationError("the path is empty; name a place, or leave the setting out")
    if "\0" in text:
        raise ConfigurationError("the path holds a NUL character, which no path may")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ConfigurationError(
            "the path holds a lone surrogate, which no file system can keep"
        ) from None
    if resembles_address(text):
        raise ConfigurationError(
            "this is a place on this machine, and what was given may be an address with a password "
            "in it, so that it is not shown: it has ://, an @ beside or after a colon, one of "
            "? & # ; % together with one of : = @, or a word such as token=. A folder of such a "
            "name can be reached by a symbolic link"
        )
    # What has lost the slashes after its scheme.
    if not (isinstance(value, os.PathLike) or explicit_path(text)) and (
        ":" in _parts(decoded(text))[0]
    ):
        raise ConfigurationError(
            "this is a place on this machine, and what was given may be an address, so that it is "
            "not shown. Where a path is meant, begin it with ./ or /"
        )
    return value


def explicit_path(text: str) -> bool:
    """Tell whether a text says that it is a path by how it begins."""
    return text.startswith(("/", "./", "../", "~")) or _DRIVE.match(text) is not None


def resembles_address(text: str) -> bool:
    """Tell whether a text may hold an address or credentials, well-formed or not, however encoded.

    A path that does is refused where one is configured, and shown nowhere.
    """
    if os.name == "nt":
        text = _DRIVE.sub("/", text, count=1)
    return any(map(_may_hold_credentials, {text, decoded(text)}))


def _may_hold_credentials(text: str) -> bool:
    return (
        "://" in text
        or _NAMED_SECRET.search(text) is not None
        # user:password@host or host:port without its scheme, or with half of it.
        or any(_SIGN.search(rest) for rest in _AUTHORITY.split(text, maxsplit=1)[1:])
        # user:password@host, also where the password holds a slash.
        or ":" in text.rpartition("@")[0]
        # An = may stand in another part: a table's partitions are folders such as day=1.
        or any("@" in part and _SEPARATOR.search(part) for part in _parts(text))
        or (_QUERY_SIGN.search(text) is not None and re.search("[:=@]", text) is not None)
    )


def _parts(text: str) -> list[str]:
    return re.split(r"[/\\]", text)


def decoded(text: str) -> str:
    """Return the text without percent-encodings and look-alikes of the characters that separate."""
    for _ in range(_DECODINGS):
        plainer = unicodedata.normalize("NFKC", unquote(text))
        if plainer == text:
            break
        text = plainer
    return text
