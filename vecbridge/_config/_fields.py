"""What a settings class declares, and how its values may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

MASK = "**********"
_LONGEST = 80
# user:password@ of an address; a password that should have been percent-encoded may hold anything.
_CREDENTIALS = re.compile(r"(?<=//)[^\s'\"]*@")


def is_secret(settings: type[BaseModel], key: str) -> bool:
    """Whether a setting is declared as a secret."""
    return _mentions_secret(settings.model_fields[key].annotation)


def without_credentials(text: str) -> str:
    """The text without the user and password that an address in it may hold."""
    return _CREDENTIALS.sub(f"{MASK}@", text)


def safe(value: object) -> object:
    """A validated value that may be shown: secrets and credentials in addresses are masked."""
    if isinstance(value, (SecretStr, SecretBytes)):
        return MASK
    return without_credentials(value) if isinstance(value, str) else value


def shown(value: object) -> str:
    """A value that is no secret, for a message."""
    text = without_credentials(repr(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def without(text: str, secrets: Iterable[object]) -> str:
    """The text with every secret in it masked; a validator of a backend may quote its input."""
    for secret in secrets:
        plain = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        # A shorter one would tear ordinary words apart, and show itself by it.
        if isinstance(plain, str) and len(plain) > 3:
            text = text.replace(plain, MASK)
    return without_credentials(text)


def _mentions_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(
        _mentions_secret(part) for part in get_args(annotation)
    )
