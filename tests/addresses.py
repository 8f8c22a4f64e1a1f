"""Malformed addresses with a secret planted in them, and what of them counts as shown."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

SECRET = "Zq7xWk2pVj"
"""No part of it is in any word of a message."""

WELL_FORMED = (
    f"http://root:{SECRET}@127.0.0.1:1",
    f"https://{SECRET}@milvus.example:443/films",
    f"tcp://root:{SECRET}@[::1]:1",
    f"https://milvus.example/?token={SECRET}",
    f"https://milvus.example:443/db?user=root&password={SECRET}#there",
    f"unix:root:{SECRET}@/run/milvus.sock",
    f"root:{SECRET}@127.0.0.1:1",
    f"postgresql://root:{SECRET}@127.0.0.1/x.db",
    f"milvus+grpc://root:{SECRET}@one:1,two:2/db",
    f"https://host:443;token=p@{SECRET}",
    f"https://host:443?token=p@{SECRET}",
    f"https://root:p@ss@{SECRET}",
    f"unix:/root:{SECRET}/x@h",
    f"unix://h::1/root:{SECRET}",
    f"unix:/{SECRET}%40@/db",
    f"//root:{SECRET}\\@h",
    f"//{SECRET}@h:1/db",
    f"//h:1/db,token={SECRET}",
    f"//h/api_key={SECRET}",
    f"./root:{SECRET}/x@h.db",
    f"/srv/password={SECRET}/x",
)
SEPARATORS = ":/@?#&=;.%\\ "
LOOK_ALIKES = {":": "：", "/": "／", "@": "＠", "?": "？", "#": "＃", "=": "＝", ".": "．"}
SCHEMES = ("htp", "htpp", "HTTP", "http ", "ht tp", "grpc", "", "//", "http:", "https:http", "ünix")
WRAPPED = (" {}", "{} ", "\t{}", "{}\n", '"{}"', "'{}'", "<{}>", "({})", "{}\x07", "\ufeff{}")

_VALID = re.compile(
    rf"[a-z][a-z0-9.+-]*://((?!\S*{SECRET}\S*@)[\w.~%+-]+(:[\w.~%+-]*)?@)?"
    r"(\[[\d:a-f]+\]|[\w.-]+)(:\d{1,5})?(/[\w.~+,/-]*)?"
    rf"(\?(?!.*{SECRET}).*)?",
    re.IGNORECASE | re.DOTALL,
)
_PATH = re.compile(r"(unix:)?[\w .,~+/\\!()-]*")
_ROOTED = re.compile(
    r"(unix:)?(?!.*(token|password|api[\W_]?key)\s*[=:?&#;%@])"
    r"(?!(.*[^/])?//(?!/).*[:@]|.*:.*@|.*@[^/\\]*[:=]|.*=[^/\\]*@|.*[?&#;%].*[:=@]|.*[:=@].*[?&#;%])"
    r"(/|\./|\.\./|~).*",
    re.IGNORECASE | re.DOTALL,
)
"""A path with no sign of credentials: no user:password@, no parameter, no name of a secret."""


def is_open(text: str) -> bool:
    """Whether the text is a whole address, path or word of which no part says "credentials"."""
    plain = unquote(unquote(text)) if "%" in text else text
    return (
        any(_VALID.fullmatch(each) for each in (text, plain))
        or _PATH.fullmatch(plain) is not None
        or all(_ROOTED.fullmatch(each) for each in (text, plain))
    )


def malformed(seed: int, many: int) -> Iterator[str]:
    """Every address that is one step away from a well-formed one, and as many random ones.

    What has lost every sign of credentials is left out: the secret is a host's or a folder's name.
    """
    seen: set[str] = set()
    for text in (*_one_step(), *_random(seed, many)):
        if text not in seen and not is_open(text):
            seen.add(text)
            yield text


def shows(text: str) -> bool:
    """Whether a text shows the secret, in any case or encoding."""
    folded = unquote(unquote(text)).casefold()
    return SECRET.casefold() in folded or SECRET[2:-2].casefold() in folded


def _one_step() -> Iterator[str]:
    for text in WELL_FORMED:
        yield text
        yield from _respelled(text)
        for at, letter in enumerate(text):
            if letter in SEPARATORS:
                for instead in ("", letter * 2, *SEPARATORS, LOOK_ALIKES.get(letter, "")):
                    yield text[:at] + instead + text[at + 1 :]
                yield text[:at] + quote(letter, safe="") + text[at + 1 :]


def _respelled(text: str) -> Iterator[str]:
    _, colon, rest = text.partition(":")
    if SECRET in rest:
        yield from (scheme + colon + rest for scheme in SCHEMES)
    yield from (wrap.format(text) for wrap in WRAPPED)
    once = quote(text, safe="")
    yield from (once, quote(once, safe=""), "".join(f"%{ord(each):02x}" for each in text))
    yield "".join(LOOK_ALIKES.get(each, each) for each in text)
    yield text.upper()
    yield text + "/" + "x" * 5000
    yield "x" * 5000 + text
    yield text + ".db"


def _random(seed: int, many: int) -> Iterator[str]:
    draws = random.Random(seed)
    for _ in range(many):
        text = draws.choice(WELL_FORMED)
        for _ in range(draws.randint(2, 5)):
            at = draws.randrange(len(text) + 1)
            place = text.find(SECRET)
            if place < at <= place + len(SECRET):
                continue
            letter = draws.choice(SEPARATORS + "\t\n\x00\x1f\u200b\u2028\ud800＠：x1")
            instead = draws.choice((letter, letter, quote(text[at : at + 1], "", errors="replace")))
            text = text[:at] + instead + text[at + draws.randrange(2) :]
        if SECRET in text:
            yield text
